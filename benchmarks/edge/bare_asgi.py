"""Owns what the choice of HTTP is measured against: the least ASGI application on uvicorn, with the server's own wire and model.

No batches, cache, limits, metrics or errors. Never in here: what the server does besides.
"""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn

from appliance.adapters.edge.server.models import served_bundle
from appliance.adapters.edge.wire import Output, decode_request, encode_response

FOLDER = Path(sys.argv[1])
SERVED = served_bundle(FOLDER, FOLDER.name, None, 1)


async def app(
    scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    if scope["type"] != "http":
        return
    heard = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if scope["method"] == "POST":
        asked = decode_request(body, heard)
        said = SERVED.run(asked.inputs)
        outputs = [Output(one.name, "FP32", said[one.name], one.binary) for one in asked.wanted]
        body, told = encode_response(SERVED.name, SERVED.version, asked.id, outputs)
    else:
        body, told = b"{}", {}
    headers = [(name.encode(), value.encode()) for name, value in told.items()]
    await send(
        {"type": "http.response.start", "status": 200, "headers": [*headers, (b"content-length", b"%d" % len(body))]}
    )  # fmt: skip
    await send({"type": "http.response.body", "body": body})


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), access_log=False, log_level="error", lifespan="off")
