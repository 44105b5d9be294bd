"""Owns the Prometheus text format (version 0.0.4), and the metrics of the HTTP interface itself.

Never in here: counting what other rooms do.
"""

import math
from collections.abc import Iterable, Mapping

from fastapi import APIRouter
from starlette.responses import Response

from appliance.adapters.http.limits import Refusals
from appliance.adapters.http.port import HomePort, MetricView
from appliance.adapters.http.problems import REFUSALS
from appliance.adapters.http.stream import Streams

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def text(metrics: Iterable[MetricView]) -> str:
    """Return `metrics` in the text format (prometheus.io, Exposition formats)."""
    lines: list[str] = []
    for metric in metrics:
        lines.append(f"# HELP {metric.name} {_escaped(metric.help)}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        lines.extend(f"{metric.name}{_labels(labels)} {_number(value)}" for labels, value in metric.samples)
    return "\n".join(lines) + "\n"


def _escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace("\n", "\\n")


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    quoted = (
        f'{name}="{_escaped(value).replace(chr(34), chr(92) + chr(34))}"' for name, value in labels.items()
    )
    return "{" + ",".join(quoted) + "}"


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return f"{value:.17g}"


def router(home: HomePort, streams: Streams, refusals: Refusals) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["health"], responses=REFUSALS)

    def own() -> tuple[MetricView, ...]:
        refused = tuple(
            ({"reason": reason}, float(count)) for reason, count in sorted(refusals.counts.items())
        )
        return (
            MetricView(
                "appliance_http_refused_total",
                "counter",
                "Requests and connections refused, by reason.",
                refused,
            ),
            MetricView(
                "appliance_http_streams",
                "gauge",
                "Event streams that are open.",
                (({}, float(len(streams))),),
            ),
        )

    @routes.get(
        "/metrics",
        response_class=Response,
        responses={200: {"description": "Metrics", "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        """Counters and gauges, for Prometheus."""
        return Response(text((*home.metrics(), *own())), headers={"content-type": MEDIA_TYPE})

    return routes
