"""Owns finding the place of a rule in the text of a TOML file: tomllib tells values, and forgets where they stood.

Never in here: what is wrong there. A place that isn't found is none: the message then says which rule it is, as it did before.
"""

import re
from collections.abc import Iterable

from appliance.errors import ProfileError

_TABLE = re.compile(r"\s*\[")


def pointed(wrong: ProfileError, sources: Iterable[tuple[str, str]]) -> ProfileError:
    """Return `wrong` with line, column and a caret under the place, where its rule stands in one of `sources` (name, text).

    The last one that holds the rule is meant: a config changes what its profile says.
    """
    if wrong.rule is None:
        return wrong
    found = None
    for name, text in sources:
        place = _place(text, wrong.rule, wrong.key)
        if place is not None:
            found = name, *place
    if found is None:
        return wrong
    name, line, column, shown = found
    if "^" in wrong.message:
        # The condition itself is shown already: only where it stands is missing.
        message = f"{name}, line {line}: {wrong.message}"
    else:
        message = (
            f"{name}, line {line}, column {column}: {wrong.message}\n    {shown}\n    {' ' * (column - 1)}^"
        )
    return ProfileError(message, hint=wrong.hint, rule=wrong.rule, key=wrong.key)


def _place(text: str, rule: str, key: str | None) -> tuple[int, int, str] | None:
    """Return line and column (from 1) of `key` in the table of `rule`, or of the table where it has no such key."""
    lines = text.splitlines()
    named = re.compile(rf"""\s*\[appliances\.[^\]]+\.(?:rules|invariants)\.["']?{re.escape(rule)}["']?\]""")
    told = re.compile(rf"""\s*id\s*=\s*["']{re.escape(rule)}["']""")
    start = 0
    while start < len(lines):
        end = next((at for at in range(start + 1, len(lines)) if _TABLE.match(lines[at])), len(lines))
        block = range(start, end)
        head = next((at for at in block if told.match(lines[at]) or named.match(lines[at])), None)
        if head is not None:
            spelt = re.compile(rf"\s*{re.escape(key)}\s*=\s*") if key else told
            at = next((at for at in block if spelt.match(lines[at])), head)
            match = spelt.match(lines[at])
            column = match.end() if match is not None and at != head else 0
            return at + 1, column + 1, lines[at]
        start = end
    return None
