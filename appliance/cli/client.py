"""Owns talking to the running daemon over its local HTTP interface.

Never in here: what is asked or how an answer is shown.
"""

import json
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from appliance.config import Loaded
from appliance.daemon.identity import state_folder
from appliance.errors import ApplianceError, ConfigError, LinkError

TIMEOUT_S = 10.0
MAX_ANSWER = 8 << 20

# A proxy that the environment names has no business between this command and a daemon on the same machine.
_OPENER = build_opener(ProxyHandler({}))


def ask(
    loaded: Loaded, method: str, path: str, *, body: object = None, query: dict[str, Any] | None = None
) -> Any:
    """Return the daemon's JSON answer.

    Raises:
        LinkError: no daemon answers where the config says.
        ApplianceError: the daemon refused; its own words.
    """
    given = {key: value for key, value in (query or {}).items() if value is not None}
    url = f"{address(loaded)}{path}{'?' + urlencode(given) if given else ''}"
    headers = {"Accept": "application/json"}
    data = None
    if method != "GET":
        headers["Authorization"] = f"Bearer {written_token(loaded)}"
    if body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    try:
        with _OPENER.open(Request(url, data, headers, method=method), timeout=TIMEOUT_S) as answer:  # noqa: S310  always http
            text = answer.read(MAX_ANSWER)
            return json.loads(text) if text else None
    except HTTPError as refused:
        said, hint = _problem(refused)
        raise ApplianceError(said, hint=hint) from None
    except (URLError, TimeoutError, ConnectionError) as gone:
        reason = gone.reason if isinstance(gone, URLError) else gone
        raise LinkError(
            f"no daemon answers at {url}: {reason}", hint="start it: appliance run --config FILE"
        ) from None


def address(loaded: Loaded) -> str:
    """Return where the daemon of this config serves: what it wrote down at its start, else what is configured."""
    http = loaded.settings.http
    if not http.enabled:
        raise ConfigError("[http] enabled is false, so the daemon can't be asked", hint="set it to true")
    written = state_folder(loaded) / "url"
    if written.exists():
        return written.read_text(encoding="ascii").strip().rstrip("/")
    return f"http://{http.host}:{http.port}"


def written_token(loaded: Loaded) -> str:
    """Return the token of this installation, which the daemon made at its first start."""
    path: Path = state_folder(loaded) / "token"
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError as broken:
        raise ConfigError(
            f"{path}: {broken.strerror}", hint="run this as the daemon's user, after its first start"
        ) from None


def _problem(refused: HTTPError) -> tuple[str, str]:
    """Return what the daemon said was wrong, and what to do about it."""
    try:
        problem = json.loads(refused.read(MAX_ANSWER))
    except ValueError:
        problem = {}
    said = problem.get("detail") or problem.get("title")
    hint = problem.get("hint") or "see docs/http.md"
    return f"the daemon refused ({refused.code}){f': {said}' if said else ''}", hint
