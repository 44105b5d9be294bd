"""Owns what the edge server counts of itself, and how Prometheus reads it (text format 0.0.4).

Never in here: what is counted by whom. Labels are names of models that are served, and words of our own: few.
"""

from bisect import bisect_left
from collections.abc import Iterable

SECONDS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Histogram:
    """Counts by upper bounds, and their sum."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str, labels: str) -> Iterable[str]:
        """Return its samples."""
        total = 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{{labels},le="{bound}"}} {total}'
        yield f"{name}_sum{{{labels}}} {self._sum:.9g}"
        yield f"{name}_count{{{labels}}} {total}"


class ModelCounts:
    """What is counted of one version of a model: it stays while the server runs, loaded again or not."""

    def __init__(self) -> None:
        self.answered = self.failed = 0
        self.seconds = Histogram(SECONDS)
        self.rows = Histogram(ROWS)


class Counts:
    """All that is counted."""

    def __init__(self) -> None:
        self.requests: dict[int, int] = {}
        """Answers by HTTP status."""
        self.refused: dict[str, int] = {}
        """Refusals of connections and requests by reason."""
        self._models: dict[tuple[str, str], ModelCounts] = {}

    def model(self, name: str, version: str) -> ModelCounts:
        """Return the counts of a model that is served."""
        found = self._models.get((name, version))
        if found is None:
            found = self._models[name, version] = ModelCounts()
        return found

    def status(self, status: int) -> None:
        """Count an answer."""
        self.requests[status] = self.requests.get(status, 0) + 1

    def refuse(self, reason: str) -> None:
        """Count a refusal."""
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def text(self, gauges: Iterable[tuple[str, str, str, float]]) -> bytes:
        """Return everything for Prometheus; `gauges` are name, kind, help and value of what others know."""
        lines: list[str] = []

        def family(name: str, kind: str, told: str, samples: Iterable[str]) -> None:
            lines.extend((f"# HELP {name} {told}", f"# TYPE {name} {kind}", *samples))

        family(
            "appliance_edge_answers_total", "counter", "Answers, by HTTP status.",
            (f'appliance_edge_answers_total{{status="{one}"}} {n}' for one, n in sorted(self.requests.items())),
        )  # fmt: skip
        family(
            "appliance_edge_refused_total", "counter", "Refusals, by reason.",
            (f'appliance_edge_refused_total{{reason="{one}"}} {n}' for one, n in sorted(self.refused.items())),
        )  # fmt: skip
        models = [
            (f'model="{name}",version="{version}"', counts)
            for (name, version), counts in self._models.items()
        ]
        name = "appliance_edge_inferences_total"
        family(
            name, "counter", "Requests that a model answered, or could not.",
            (
                f'{name}{{{labels},outcome="{outcome}"}} {n}'
                for labels, one in models
                for outcome, n in (("ok", one.answered), ("failed", one.failed))
            ),
        )  # fmt: skip
        name = "appliance_edge_inference_seconds"
        family(
            name, "histogram", "From a whole request to its answer.",
            (line for labels, one in models for line in one.seconds.lines(name, labels)),
        )  # fmt: skip
        name = "appliance_edge_batch_rows"
        family(
            name, "histogram", "Rows that went through a model together.",
            (line for labels, one in models for line in one.rows.lines(name, labels)),
        )  # fmt: skip
        for name, kind, told, value in gauges:
            family(name, kind, told, (f"{name} {value:.17g}",))
        return ("\n".join(lines) + "\n").encode()
