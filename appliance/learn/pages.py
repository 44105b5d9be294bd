"""Owns the report's two pages, Markdown and HTML, from one list of parts. Never in here: a figure that was not handed in."""

from collections.abc import Sequence
from html import escape

from appliance.bundle import Bundle, Card
from appliance.learn.choosing import Choice
from appliance.learn.days import Way
from appliance.learn.faults import Line, table as faults_table
from appliance.learn.ledger import Result, counted, row_of
from appliance.learn.recipe import Recipe
from appliance.learn.reporting import Report

SETS_SHOWN = 16
FAULTS, UNTESTED = "## Faults of sensors that novelty finds", "## What it was not tested on"
_VALUES = {
    "rooms": "half the mean over rooms and half the worst room, of accuracy and macro F1 together",
    "days": "the mean over what is held out of the mean accuracy over rooms, ties by the worst",
}
Part = tuple[str, list[list[str]] | None]
"""A paragraph or heading (`# `), or a table whose first row is its head."""


def markdown(parts: Sequence[Part]) -> str:
    """Return the parts as Markdown."""
    lines: list[str] = []
    for text, table in parts:
        if table is None:
            lines += [text, ""]
            continue
        lines += [f"| {' | '.join(table[0])} |", "|" + "---|" * len(table[0])]
        lines += [f"| {' | '.join(row)} |" for row in table[1:]]
        lines.append("")
    return "\n".join(lines)


def html_of(parts: Sequence[Part]) -> str:
    """Return the parts as HTML, without a page around them."""
    body = []
    for text, table in parts:
        if table is not None:
            rows = [
                "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row) + "</tr>"
                for tag, row in zip(["th", *["td"] * len(table)], table, strict=False)
            ]
            body.append(f"<table>{''.join(rows)}</table>")
        elif text.startswith("#"):
            level = len(text) - len(text.lstrip("#"))
            body.append(f"<h{level}>{escape(text.lstrip('# '))}</h{level}>")
        else:
            body.append(f"<p>{escape(text)}</p>")
    return "".join(body)


def html(title: str, parts: Sequence[Part], pictures: Sequence[tuple[str, str]]) -> str:
    """Return the parts as a page that needs nothing else; `pictures` are (what they show, SVG)."""
    body = [html_of(parts)]
    body += [f"<figure>{svg}<figcaption>{escape(told)}</figcaption></figure>" for told, svg in pictures]
    style = (
        "body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;"
        "display:block;overflow-x:auto}td,th{border:1px solid #ccc;padding:.2rem .6rem;text-align:left}svg{max-width:100%;height:auto}"
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{style}</style></head>'
        f"<body>{''.join(body)}</body></html>\n"
    )


def parts_of(
    made: Report,
    bundle: Bundle,
    recipe: Recipe,
    choices: Sequence[Choice],
    seeds: Sequence[Choice],
    teacher: Choice,
    sets: Sequence[Choice] = (),
    ways: Sequence[Way] = (),
) -> list[Part]:
    """Return the whole report as parts."""
    card = bundle.card
    tests = list(made.lines[0].scores)
    size = len(bundle.model)
    found: list[Part] = [
        (f"# {card.title} (`{card.name}`, version {card.version})", None),
        ((f"{card.architecture}; {size} bytes of ONNX, sha256 `{made.digest}`; its teacher ({teacher.kind}) has"
         f" {teacher.bytes} bytes, {teacher.bytes / size:.0f} times as many."), None),
        (f"Split: {card.split}. Calibration: {card.calibration}.", None),
        (f"Guarantees: {card.guarantees}.", None),
    ]  # fmt: skip
    if tests:
        head = [
            "model",
            "bytes",
            *(
                f"{test}: {word}"
                for test in tests
                for word in (
                    "accuracy",
                    "macro F1",
                    "accuracy / F1 where known",
                    "sure, α .10",
                    "right when sure",
                )
            ),
        ]
        rows = [
            [
                line.model,
                _whole(line.bytes),
                *(cell for test in tests for cell in _cells(line.scores.get(test))),
            ]
            for line in made.lines
        ]
        found += [("## On the test files", None), ("", [head, *rows])]
        found.append((
            ("In brackets: 95 % interval, whole days drawn anew (of the mean over seeds: the least and the greatest). A row whose features are not known"
            f" yet counts as “{card.labels[0]}”, and as unsure. Each file starts cold, as a device does."), None,
        ))  # fmt: skip
    for test in tests:
        ours = made.lines[0].scores[test]
        found.append((
            (f"- {test}: worst day {made.worst_days[test]}; features known on {ours.known or 0:.1%} of the rows, unlike anything seen"
            f" {made.unlike[test]:.1%}; expected calibration error {ours.calibration_error or 0:.3f}; confusion (rows: truth"
            f" {', '.join(card.labels)}; columns: said) {made.confusion[test]}."), None,
        ))  # fmt: skip
    if made.coverage:
        found.append(("## Coverage and sureness", None))
        head = [
            "test",
            "α",
            "covered",
            *(f"covered: {word}" for word in card.labels),
            "sure (one label)",
            "after labels: least covered / sure",
        ]
        rows = []
        for one in made.coverage:
            mended = ", ".join(
                f"{count}: {value:.3f} / {one.mended.get(f'{count} sure', 0.0):.2f}"
                for count, value in one.mended.items()
                if count.isdigit()
            )
            rows.append([
                one.test, f"{one.alpha:g}", f"{one.covered:.3f}", *(f"{one.by_label.get(word, float('nan')):.3f}" for word in card.labels),
                f"{one.sure:.3f}", mended,
            ])  # fmt: skip
        found.append(("", [head, *rows]))
    found.append(("## On held-out days, in all rooms", None))
    head = [
        "stage",
        "KiB",
        "parameters",
        "operations",
        "accuracy",
        "macro F1",
        "value",
        "as recorded",
        "log loss",
    ]
    rows = [_choice(one, "shipped size" if one == seeds[0] else "") for one in (*choices, *seeds[:1])]
    found.append(("", [head, *rows]))
    each = [one.judged for one in seeds]
    found.append((
        (f"Of {len(each)} seeds the accuracy is {min(one.accuracy for one in each):.4f} to {max(one.accuracy for one in each):.4f}, the value"
        f" {min(one.value for one in each):.4f} to {max(one.value for one in each):.4f}; the first is shipped, not the best. The value, by which"
        f" everything is chosen, is {_VALUES[recipe.split.judged]}."), None,
    ))  # fmt: skip
    found += _days(recipe, card, sets, ways)
    rows = [["room", "accuracy", "macro F1", "sure, α .10", "right when sure", "rows"]]
    rows += [
        [
            name,
            f"{one.accuracy:.3f}",
            f"{one.macro_f1:.3f}",
            f"{one.sure:.3f}",
            f"{one.sure_right:.3f}",
            str(one.rows),
        ]
        for name, one in card.held_out.items()
    ]
    found += [("", rows), (f"{card.worst[0].upper()}{card.worst[1:]}.", None)]
    if made.measured:
        found += [
            ("## What it costs here", None),
            ("; ".join(f"{name} {value:g}" for name, value in made.measured.items()) + ".", None),
        ]
    for name, told in made.checks.items():
        found += [(f"## {name}", None), (told, None)]
    if made.faults:
        found += faults_of(made.faults)
    found += [
        (UNTESTED, None),
        (f"{recipe.card.untested[0].upper()}{recipe.card.untested[1:]}.", None),
        (f"Not for: {card.not_for}.", None),
    ]
    if made.openings:
        found.append((counted(len(made.openings)), None))
        head = [
            "when",
            "version",
            "model",
            *(f"{test}: {word}" for test in tests for word in ("accuracy", "macro F1")),
        ]
        found.append(("", [head, *(row_of(opening, tests) for opening in made.openings)]))
    return found


def faults_of(lines: Sequence[Line]) -> list[Part]:
    """Return what novelty finds of faults of sensors, as a section."""
    return [
        (FAULTS, None),
        ((
            "Faults were written into the readings of each channel, on held-out days: found is what share of their rows lies outside the novelty region,"
            " which was made of all rooms without the day in question. A spike is one reading that is off by the size, noise a deviation of each"
            " reading, drift 1 % a day until it has the size; AUROC 0.5 tells nothing apart. While a channel is missing for longer than its values"
            " hold, the model says nothing, which counts as found. Readings went straight into windows: on a device some of these are refused before, as BAD."
        ), None),
        ("", faults_table(lines)),
    ]  # fmt: skip


def _days(recipe: Recipe, card: Card, sets: Sequence[Choice], ways: Sequence[Way]) -> list[Part]:
    found: list[Part] = []
    if sets:
        head = ["set of features", "how many", "value", "worst", "log loss"]
        rows = [
            [
                one.family,
                str(len(one.features)),
                f"{one.judged.value:.4f}",
                f"{one.judged.worst:.4f}",
                f"{one.judged.log_loss:.4f}",
            ]
            for one in sets[:SETS_SHOWN]
        ]
        found += [
            (
                f"Sets of features, the best {len(rows)} of {len(sets)} that were tried, each as a small net of its own:",
                None,
            ),
            ("", [head, *rows]),
        ]
    if ways:
        head = [
            "way to thresholds",
            "α",
            *(f"covered: {word}" for word in card.labels),
            *(f"in all rooms: {word}" for word in card.labels),
            "worst",
            "sure",
            "sure in all rooms",
        ]
        rows = [
            [
                one.name.replace("_", " "),
                level,
                *(f"{share:.3f}" for share in one.covered[level]),
                *(f"{share:.3f}" for share in one.anywhere[level]),
                f"{one.worst[level]:.3f}",
                f"{one.sure_recorded[level]:.3f}",
                f"{one.sure[level]:.3f}",
            ]
            for one in ways
            for level in one.covered
        ]
        word = "day" if recipe.split.by == "day" else "group"
        found += [
            (
                f"Ways to the thresholds of prediction sets, taken from all but one {word} and asked of that one, the mean over {word}s:",
                None,
            ),
            ("", [head, *rows]),
        ]
    return found


def _choice(one: Choice, mark: str) -> list[str]:
    accuracy, f1 = next(iter(one.judged.rooms.values()))
    name = f"{one.kind}{f' {one.size}' if one.size > 0 else ''} on {len(one.features)} features{f', {mark}' if mark else ''}"
    return [
        f"teacher {name}" if one.size < 0 else name, f"{one.bytes / 1024:.1f}", _whole(one.parameters or None), _whole(one.operations or None),
        f"{one.judged.accuracy:.4f}", f"{one.judged.macro_f1:.4f}", f"{one.judged.value:.4f}", f"{accuracy:.4f} / {f1:.4f}",
        f"{one.judged.log_loss:.4f}",
    ]  # fmt: skip


def _cells(one: Result | None) -> list[str]:
    if one is None:
        return ["–"] * 5
    accuracy = f"{one.accuracy:.3f}" + (
        f" ({one.low:.3f}–{one.high:.3f})" if one.low is not None and one.high is not None else ""
    )
    known = f"{_number(one.where_known)} / {_number(one.where_known_f1)}"
    return [accuracy, _number(one.macro_f1), known, _number(one.sure), _number(one.sure_right)]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _whole(value: int | None) -> str:
    return "–" if value is None else str(value)
