"""Owns how a log line looks: for people on a terminal, one JSON object a line elsewhere.

Never in here: what is logged.
"""

import json
import logging
from datetime import UTC, datetime
from typing import TextIO

MAX_TEXT = 2000
"""Characters of one message: a sender must not be able to fill a log with one line."""


class JsonLines(logging.Formatter):
    """One JSON object a line; control characters are escaped, so no text can forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "where": record.name,
            "text": record.getMessage()[:MAX_TEXT],
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)[-MAX_TEXT:]
        return json.dumps(line)


def set_up_logs(level: str, stream: TextIO) -> None:
    """Send the log to `stream`, from `level` on."""
    handler: logging.Handler
    if stream.isatty():
        from rich.console import Console
        from rich.logging import RichHandler

        handler = RichHandler(console=Console(file=stream), show_path=False, markup=False)
    else:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], format="%(message)s", force=True)
