"""Owns the ledger of openings: every time that the test files are opened, it is written beside the bundle, whoever opened them.

Never in here: opening them. A test that is looked at often is a test no more, so none may be looked at without being counted.
"""

import json
import re
from html import escape
from pathlib import Path

import msgspec

from appliance.errors import LearnError


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one model reached on one test: shares in [0, 1]; None where it has no meaning or was not published.

    `accuracy` and `macro_f1` count a row whose features are not known as the first label; `where_known` and `where_known_f1` are of the
    other rows alone, the same ones for all models of the table.
    """

    accuracy: float
    macro_f1: float | None = None
    low: float | None = None
    high: float | None = None
    calibration_error: float | None = None
    known: float | None = None
    where_known: float | None = None
    where_known_f1: float | None = None
    sure: float | None = None
    sure_right: float | None = None


class Opening(msgspec.Struct, frozen=True, omit_defaults=True):
    """One time at which the test files were opened: when (UTC), for which model, and what it reached. `scores` is empty where
    that was not kept. `by`: what opened them, where it was not the report, and what the scores are of.
    """

    at: str
    version: int
    digest: str
    scores: dict[str, Result]
    by: str = ""

    @property
    def model(self) -> str:
        """What the scores are of, in a table."""
        return f"`{self.digest[:12]}`{', ' if self.by else ''}{self.by}"


class _Kept(msgspec.Struct):
    openings: tuple[Opening, ...]


def openings(path: Path) -> tuple[Opening, ...]:
    """Return the openings that a report tells of; none where there is no report. Raises LearnError where it can't be read."""
    if not path.exists():
        return ()
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept).openings
    except (OSError, msgspec.MsgspecError) as broken:
        raise LearnError(
            f"{path}: {broken}",
            hint="it tells how often the test files were opened: bring back the one from before",
        ) from None


def counted(count: int) -> str:
    """Return the sentence that says how often."""
    return f"The test files were opened {'once' if count == 1 else f'{count} times'}:"


def enter(folder: Path, opening: Opening, tests: list[str]) -> None:
    """Write one opening more into report.json, report.md and report.html of `folder`; `tests` are the columns of their tables.

    Raises:
        LearnError: there is no report to write it into, or it has no table of openings.
    """
    before = openings(folder / "report.json")
    if not before:
        raise LearnError(f"{folder}: no report tells of openings", hint="make one: appliance learn report")
    made = json.loads((folder / "report.json").read_text("utf-8"))
    made["openings"] = [msgspec.to_builtins(one) for one in (*before, opening)]
    cells = row_of(opening, tests)
    pages = {
        "report.md": (f"| {' | '.join(cells)} |\n", r"\n\n(?:\|[^\n]*\n)+"),
        "report.html": (
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>",
            r"</p><table>.*?(?=</table>)",
        ),
    }
    written = {}
    for name, (row, table) in pages.items():
        text = (folder / name).read_text("utf-8")
        found = re.search(re.escape(counted(len(before))) + table, text, re.DOTALL)
        if found is None:
            raise LearnError(
                f"{folder / name}: no table of openings", hint="make it anew: appliance learn report"
            )
        told = found[0].replace(counted(len(before)), counted(len(before) + 1)) + row
        written[name] = text[: found.start()] + told + text[found.end() :]
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "report.json").write_text(
        json.dumps(made, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def row_of(opening: Opening, tests: list[str]) -> list[str]:
    """Return an opening as a row of the table: when, version, model, and accuracy and macro F1 of each test."""
    results = [opening.scores.get(test) for test in tests]
    values = [value for got in results for value in ((got.accuracy, got.macro_f1) if got else (None, None))]
    return [
        opening.at,
        str(opening.version),
        opening.model,
        *("–" if value is None else f"{value:.3f}" for value in values),
    ]
