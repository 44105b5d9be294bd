"""Owns how the interface is put together: the gate in front, one router a resource.

Never in here: a resource. This is the module that imports the web framework: import it when control is up.
"""

from collections.abc import Iterable

from fastapi import FastAPI

import appliance
from appliance.adapters.http import (
    answers,
    appliances,
    decide,
    decisions,
    description,
    edge,
    health,
    labels,
    metrics,
    overrides,
    pages,
    readings,
    safe_mode,
    stream,
    whys,
)
from appliance.adapters.http.limits import LOOPBACK_HOSTS, Gate, Refusals
from appliance.adapters.http.port import HomePort
from appliance.adapters.http.problems import tell_problems
from appliance.adapters.http.threads import Threads
from appliance.adapters.http.tokens import Tokens


def create_app(home: HomePort, *, token: str, allowed_hosts: Iterable[str] = ()) -> FastAPI:
    """Return the interface to `home`.

    `token` is what writing needs. `allowed_hosts` are further names, without a port, by which clients may
    call this server besides localhost, 127.0.0.1 and [::1] (an IPv6 address in brackets). Any other Host
    header is refused, so that no foreign page can reach the server by a name that it points here.

    Raises:
        ConfigError: the token is too short to be one.
    """
    app = FastAPI(
        title="appliance",
        version=appliance.__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    refusals = Refusals()
    streams = stream.Streams()
    threads = Threads()
    app.state.refusals = refusals
    app.state.end_streams = streams.end
    app.add_middleware(
        Gate,
        hosts=frozenset(host.lower() for host in (*LOOPBACK_HOSTS, *allowed_hosts)),
        tokens=Tokens(token),
        refusals=refusals,
    )
    tell_problems(app)
    for router in (
        appliances.router(home),
        whys.router(home),
        overrides.router(home),
        answers.router(home),
        labels.router(home),
        decisions.router(home, threads),
        readings.router(home, threads),
        stream.router(home, streams, refusals),
        decide.router(home),
        health.router(home),
        edge.router(home),
        safe_mode.router(home),
        metrics.router(home, streams, refusals),
        pages.router(),
        description.router(app, threads),
    ):
        app.include_router(router)
    return app
