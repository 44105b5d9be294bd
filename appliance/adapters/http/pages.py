"""Owns the page and its files, read once into memory: what is not in the table cannot be asked for.

Never in here: what the page shows; it asks the API as any client does.
"""

import hashlib
from importlib.resources import files

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from appliance.adapters.http.problems import REFUSALS, Refused

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Asset(msgspec.Struct, frozen=True):
    """A file of the page; `tag` is made of its content."""

    content: bytes
    media_type: str
    tag: str

    def response(self, request: Request) -> Response:
        """Return the file, or that it did not change. Browsers keep it, but ask each time."""
        headers = {"cache-control": "no-cache", "etag": self.tag, "content-type": self.media_type}
        if request.headers.get("if-none-match") == self.tag:
            return Response(status_code=304, headers=headers)
        return Response(self.content, headers=headers)


def assets() -> dict[str, Asset]:
    """Return the files of the page by name."""
    found = {}
    for file in files("appliance.adapters.http").joinpath("assets").iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in MEDIA_TYPES:
            content = file.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[file.name] = Asset(content, MEDIA_TYPES[suffix], tag)
    return found


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["page"], responses=REFUSALS, default_response_class=Response)
    known = assets()

    @routes.get("/", responses={200: {"content": {"text/html": {}}, "description": "The page"}})
    async def page(request: Request) -> Response:
        """The page: what each appliance does now, and why."""
        return known["index.html"].response(request)

    @routes.get(
        "/assets/{name}", responses={200: {"content": {"*/*": {}}, "description": "A file of the page"}}
    )
    async def asset(name: str, request: Request) -> Response:
        """A file of the page."""
        if name not in known:
            raise Refused(404, "no-such-page", "There is nothing at this address.")
        return known[name].response(request)

    return routes
