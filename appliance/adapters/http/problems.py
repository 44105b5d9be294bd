"""Owns how an error is told to a client: RFC 9457 problem details, for every error there is.

Never in here: what is an error. And never what the client sent: an answer that echoes its input can be broken
by it.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from appliance.adapters.http.headers import COMMON
from appliance.errors import ApplianceError, ConfigError, LinkError, PayloadError, TooManyWords

MAX_FAULTS = 16
"""So many faults of one request are told, no more."""


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(frozen=True)

    where: str = Field(description="Where in the request, as body.readings.0.value", examples=["body.for_s"])
    what: str = Field(description="What is wrong there")


class Problem(BaseModel):
    """RFC 9457 problem details. `type` is always about:blank: `code` tells what it is."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(default="about:blank", description="Always about:blank")
    title: str = Field(description="The status in words")
    status: int = Field(description="The HTTP status code")
    code: str = Field(description="What is wrong, in one stable word", examples=["no-such-appliance"])
    detail: str = Field(description="What is wrong, in a sentence")
    hint: str | None = Field(default=None, description="What to do about it")
    errors: tuple[Fault, ...] = Field(
        default=(), description="What is wrong where, for a request that does not validate"
    )


class Refused(HTTPException):
    """Raise it to answer with a problem."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.code = code
        self.hint = hint


def body(problem: Problem) -> bytes:
    """Return `problem` as JSON, without what is empty."""
    return json.dumps(
        {k: v for k, v in problem.model_dump(mode="json").items() if v not in (None, [])}
    ).encode()


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    hint: str | None = None,
    errors: tuple[Fault, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the response that tells a problem."""
    told = Problem(
        title=HTTPStatus(status).phrase, status=status, code=code, detail=detail, hint=hint, errors=errors
    )
    return Response(body(told), status, {**COMMON, **(headers or {})}, "application/problem+json")


REFUSALS: dict[int | str, dict[str, object]] = {
    "default": {
        "description": "Any error, as RFC 9457 problem details",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}
"""The `responses` of every route, for its description."""


async def _on_refused(_: Request, raised: Exception) -> Response:
    if isinstance(raised, Refused):
        return problem(
            raised.status_code, raised.code, raised.detail, hint=raised.hint, headers=raised.headers
        )
    if not isinstance(raised, HTTPException):
        raise raised
    if raised.status_code == HTTPStatus.NOT_FOUND:
        return problem(
            404, "no-such-page", "There is nothing at this address.", hint="The paths are in /openapi.json."
        )
    if raised.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return problem(
            405, "method-not-allowed", "This address does not take this method.", headers=raised.headers
        )
    if raised.status_code == HTTPStatus.BAD_REQUEST:
        return problem(400, "malformed-body", "The body cannot be read as JSON.")
    return problem(
        raised.status_code, "refused", HTTPStatus(raised.status_code).description, headers=raised.headers
    )


async def _on_invalid(_: Request, raised: Exception) -> Response:
    if not isinstance(raised, RequestValidationError):
        raise raised
    faults = []
    for error in raised.errors()[:MAX_FAULTS]:
        # The name of a key that is not expected is the client's own text: say where it is, not what it says.
        steps = error["loc"][:-1] if error["type"] == "extra_forbidden" else error["loc"]
        faults.append(Fault(where=".".join(str(step) for step in steps), what=error["msg"]))
    return problem(
        422,
        "invalid",
        "The request is not of the form that this address takes.",
        hint="The form is in /openapi.json.",
        errors=tuple(faults),
    )


async def _on_ours(_: Request, raised: Exception) -> Response:
    if not isinstance(raised, ApplianceError):
        raise raised
    if isinstance(raised, PayloadError | ConfigError):
        return problem(422, "not-possible", raised.message, hint=raised.hint)
    if isinstance(raised, TooManyWords):
        return problem(429, "too-often", raised.message, hint=raised.hint, headers={"retry-after": "60"})
    if isinstance(raised, LinkError):
        return problem(503, "unavailable", raised.message, hint=raised.hint, headers={"retry-after": "5"})
    return problem(500, "failed", raised.message, hint=raised.hint)


async def _on_unforeseen(_: Request, __: Exception) -> Response:
    return problem(
        500, "unforeseen", "Something broke while this was answered.", hint="The log of the daemon names it."
    )


def tell_problems(app: FastAPI) -> None:
    """Make every error of `app` a problem."""
    app.add_exception_handler(HTTPException, _on_refused)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(ApplianceError, _on_ours)
    app.add_exception_handler(Exception, _on_unforeseen)
