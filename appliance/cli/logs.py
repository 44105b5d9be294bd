"""Owns how a log line looks: for people on a terminal, one JSON object a line elsewhere.

Never in here: what is logged.
"""

import json
import logging
import re
from datetime import UTC, datetime
from typing import TextIO

MAX_LINE = 2000
"""Bytes of one line: a sender must not be able to fill a log with one message."""
WITH_TRACE = 700
"""Bytes of a text that has a trace after it: so the trace's end, which says what broke, has its place."""

TALKATIVE = ("httpx", "httpcore")
"""They have a line for each request, which would fill a log that is kept for what changes."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class JsonLines(logging.Formatter):
    """One JSON object a line, of `MAX_LINE` bytes at most, all ASCII: no text can forge a line or fill the log."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "where": record.name[:100],
            "text": "",
        }
        if record.exc_info:
            line["trace"] = ""
        room = MAX_LINE - len(json.dumps(line))
        line["text"] = _begin(record.getMessage(), min(room, WITH_TRACE) if record.exc_info else room)
        if record.exc_info:
            room = MAX_LINE - len(json.dumps(line))
            line["trace"] = _begin(self.formatException(record.exc_info)[::-1], room)[::-1]
        return json.dumps(line)


class PlainLines(logging.Formatter):
    """The text as it is, cut at `MAX_LINE` characters; what a terminal would obey instead of showing is escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text, and the trace under it where there is one."""
        text = shown(record.getMessage()[:MAX_LINE].replace("\n", "\\n"))
        if not record.exc_info:
            return text
        return f"{text}\n{shown(self.formatException(record.exc_info)[-MAX_LINE:])}"


def shown(text: str) -> str:
    """Return `text` with control characters, but for tabs and line ends, written as Python writes them."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def set_up_logs(level: str, stream: TextIO) -> None:
    """Send the log to `stream`, from `level` on."""
    handler: logging.Handler
    if stream.isatty():
        from rich.console import Console
        from rich.logging import RichHandler

        handler = RichHandler(console=Console(file=stream), show_path=False, markup=False)
        handler.setFormatter(PlainLines())
    else:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


def _begin(text: str, room: int) -> str:
    """Return as much of the beginning of `text` as takes `room` bytes in JSON; about that where much is escaped."""
    text = text[:room]
    while text and (takes := len(json.dumps(text)) - 2) > room:
        text = text[: len(text) * room // takes]
    return text
