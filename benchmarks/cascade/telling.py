"""Owns the words: tables of figures, the page, the title of the picture. Never in here: a figure that was not handed in."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
from costs import HEADERS, PACKETS, RADIO_WATTS, WATTS, Costs

from appliance.learn.drawing import Curve, Panel

LOCAL, CASCADE, CACHED, EDGE, RANDOM = "local only", "cascade", "cascade, cached", "always edge", "random"
DRAWN = {CASCADE: "no cache", CACHED: "with the cache", RANDOM: "random rows, no cache"}


INTRODUCTION = (
    "Written by `python benchmarks/cascade`; every figure is measured by it, but energy, which is estimated. Rows are minutes. Each is judged by the core's own verdict with"
    " the shipped cards, at the error level .10: *sure* means that rules act on it. Where nobody is asked, the label of the local verdict counts, also where it is unsure;"
    " where the teacher answers and is sure by its own card, the teacher's, as in the core; *always edge* is the teacher in place of the local model. A row whose features are not known yet counts as the first label, and nobody is asked about it."
)
TERMS = (
    "*Least sure* rows are those that the local verdict leaves uncertain, by its greatest probability, then the rest by the same; the order is taken over the whole scene,"
    " which a device cannot do: what a budget gives in order of time stands in the last table of each scene. *With the cache* a row whose bucket (the teacher's features"
    " over its card's steps) was answered before is not asked again; without it only the last answer is held, while its bucket lasts. A *wrong hit* is an answer for a like row that finds another label likeliest than the row's own would. Accuracy has a 95 % interval,"
    " whole days (in simulated homes whole homes) drawn anew; so has the gain, row by row against the local model alone. Nothing here was tuned."
)


@dataclass(frozen=True)
class Line:
    """One policy in one scene, shares in [0, 1]: of rows `asked` over the network and `answered` by the teacher; `accuracy` with its interval;
    `gain` on the local model alone with its interval; `sure` (rules act) and right when sure; cached answers that the teacher would not give.
    """

    asked: float
    answered: float
    accuracy: float
    low: float
    high: float
    gain: float
    less: float
    more: float
    macro_f1: float
    sure: float
    sure_right: float
    wrong_hits: float

    @property
    def pays(self) -> bool:
        """Whether it is shown to be right more often than the local model alone."""
        return self.less > 0


@dataclass(frozen=True)
class Told:
    """One scene: the model, its lines by policy and offered share, those by budget, rows a day, rows, and blocks of the intervals;
    whether the teacher's card shows it better, and how often the likeliest label is right, of the local model and of the teacher.
    """

    model: str
    lines: dict[str, list[tuple[float, Line]]]
    budgets: list[tuple[float, float, Line]]
    a_day: float
    rows: int
    blocks: int
    block: str
    better: bool
    likeliest: tuple[float, float]


def mean(lines: Sequence[Line]) -> Line:
    """The mean of each figure: of an interval's ends too, which is a typical draw's interval, not one of the mean."""
    return Line(*(float(np.mean([getattr(one, field.name) for one in lines])) for field in fields(Line)))


Table = list[list[str]]


def scene_table(told: Told, spent: Costs) -> Table:
    """One row a policy and share."""
    head = [
        "asked first",
        "offered",
        "over the network",
        "accuracy",
        "gain on local only",
        "sure",
        "right when sure",
        "wrong hits",
        "mean latency of an answer, ms",
        "kB a day",
        "J a day, device",
        "J a day, server",
    ]
    found = [head]
    order = [
        (name, share, one)
        for name in (LOCAL, CASCADE, CACHED, RANDOM, EDGE)
        for share, one in told.lines[name]
    ]
    for name, share, one in order:
        shown = "–" if name == LOCAL else f"{share:.0%}" if name != EDGE else f"{one.answered:.0%}"
        found.append(
            [
                {CASCADE: "least sure, no cache", CACHED: "least sure, cache", RANDOM: "random"}.get(
                    name, name
                ),
                shown,
                f"{one.asked:.1%}",
                f"{one.accuracy:.4f} ({one.low:.3f}–{one.high:.3f})",
                "–" if name == LOCAL else f"{one.gain:+.4f} ({one.less:+.4f} to {one.more:+.4f})",
                f"{one.sure:.3f}",
                f"{one.sure_right:.3f}",
                f"{one.wrong_hits:.1%}" if name in (CACHED, CASCADE) else "–",
                f"{spent.local_us / 1000 + one.asked * spent.edge_ms:.3f}",
                f"{one.asked * told.a_day * spent.bytes / 1000:.0f}",
                f"{told.a_day * (spent.local_joules + one.asked * spent.asking_joules):.2f}",
                f"{told.a_day * one.asked * spent.server_joules:.2f}",
            ]
        )
    return found


def budget_table(told: Told, spent: Costs) -> Table:
    """One row a budget."""
    head = [
        "`cases_percent`",
        "`mb_a_day`",
        "asked a day",
        "kB a day",
        "answered (with the cache)",
        "accuracy",
        "gain on local only",
        "sure",
        "right when sure",
        "wrong hits",
    ]
    return [
        head,
        *(
            [
                f"{cases:g}",
                f"{mb:g}",
                f"{one.asked * told.a_day:.0f}",
                f"{one.asked * told.a_day * spent.bytes / 1000:.0f}",
                f"{one.answered:.1%}",
                f"{one.accuracy:.4f}",
                f"{one.gain:+.4f} ({one.less:+.4f} to {one.more:+.4f})",
                f"{one.sure:.3f}",
                f"{one.sure_right:.3f}",
                f"{one.wrong_hits:.1%}",
            ]
            for cases, mb, one in told.budgets
        ),
    ]


def at(told: Told, share: float) -> Line:
    """The cached cascade's line at `share`."""
    return next(one for offered, one in told.lines[CACHED] if offered == share)


def verdict(found: dict[str, Told], share: float) -> list[str]:
    """One sentence a scene: whether asking pays at `share`."""
    said = []
    for name, told in found.items():
        one, whole, base = at(told, share), told.lines[EDGE][0][1], told.lines[LOCAL][0][1]
        word = "pays" if one.pays else "costs accuracy" if one.more < 0 else "is not shown to pay"
        said.append(
            f"{name}: {word} at {share:.0%} ({one.gain:+.4f}, {one.less:+.4f} to {one.more:+.4f}); asking always {whole.gain:+.4f}"
            f" ({whole.less:+.4f} to {whole.more:+.4f}); sure {base.sure:.3f} alone, {one.sure:.3f} so, then right {base.sure_right:.3f} and {one.sure_right:.3f}"
        )
    return said


def title(found: dict[str, Told], share: float) -> str:
    """What the picture shows, in words: also where it does not pay."""
    paid = [name for name, told in found.items() if at(told, share).pays]
    lost = [name for name, told in found.items() if at(told, share).more < 0]
    rest = [name for name in found if name not in paid and name not in lost]
    parts = [
        f"{word}: {'; '.join(names)}"
        for word, names in (("pays", paid), ("costs accuracy", lost), ("not shown to pay", rest))
        if names
    ]
    return f"Asking the edge about the least sure {share:.0%}\n" + "\n".join(parts)


def panels(found: dict[str, Told], spent: dict[str, Costs]) -> list[Panel]:
    """The curves of the picture: accuracy against the share that goes over the network."""
    made = []
    for name, told in found.items():
        local, edge = told.lines[LOCAL][0][1], told.lines[EDGE][0][1]
        curves = []
        for policy, word in DRAWN.items():
            lines = [one for _, one in told.lines[policy]]
            curves.append(
                Curve(
                    word,
                    [one.asked for one in lines],
                    [one.accuracy for one in lines],
                    [one.low for one in lines],
                    [one.high for one in lines],
                )
            )
        made.append(
            Panel(
                name,
                curves,
                (local.accuracy, "local only"),
                (edge.asked, edge.accuracy, "always edge"),
                told.a_day * spent[told.model].bytes / 1000,
            )
        )
    return made


def cost_table(spent: dict[str, Costs]) -> Table:
    """One column a model."""
    rows: list[tuple[str, Callable[[Costs], str]]] = [
        ("local answer, median, µs", lambda one: f"{one.local_us:.1f}"),
        ("edge answer on loopback, median, ms", lambda one: f"{one.edge_ms:.2f}"),
        ("edge answer on loopback, 99 %, ms", lambda one: f"{one.edge_p99_ms:.2f}"),
        ("CPU of a local answer, µs", lambda one: f"{one.local_cpu_s * 1e6:.1f}"),
        ("CPU of asking, at the device, µs", lambda one: f"{one.asking_cpu_s * 1e6:.0f}"),
        ("CPU of answering, at the server, µs", lambda one: f"{one.server_cpu_s * 1e6:.0f}"),
        ("bytes of HTTP out, in", lambda one: f"{one.bytes_out}, {one.bytes_in}"),
        ("bytes in all, with TCP and IP", lambda one: f"{one.bytes}"),
        ("load of the machine while this was measured", lambda one: f"{one.load:.1f}"),
        ("energy of a local answer, µJ", lambda one: f"{one.local_joules * 1e6:.0f}"),
        ("energy of asking, at the device, µJ", lambda one: f"{one.asking_joules * 1e6:.0f}"),
        ("energy of answering, at the server, µJ", lambda one: f"{one.server_joules * 1e6:.0f}"),
    ]
    return [["", *spent], *([word, *(tell(one) for one in spent.values())] for word, tell in rows)]


def model_of_energy() -> str:
    """What the joules rest on."""
    return (
        f"Energy is an estimate, seconds times watts: {WATTS:g} W a busy core of a small computer (assumed, as for a refit), at the server too, and"
        f" {RADIO_WATTS:g} W of Wi-Fi above idle while an answer is awaited (assumed). A question, its answer and their acknowledgements are {PACKETS} packets"
        f" with {HEADERS} bytes of TCP and IP headers each. Loopback has no air: at home the network's own delay comes on top, in time and in the radio's joules."
    )


def markdown(table: Table) -> str:
    """A table as Markdown."""
    return "\n".join(
        [
            f"| {' | '.join(table[0])} |",
            "|" + "---|" * len(table[0]),
            *(f"| {' | '.join(row)} |" for row in table[1:]),
        ]
    )


def page(
    found: dict[str, Told],
    spent: dict[str, Costs],
    digests: dict[str, str],
    picture: str | None,
    share: float,
) -> str:
    """The whole page, or without a picture what is printed."""
    parts = [
        "# What asking an edge server gains, and what it costs",
        INTRODUCTION,
        f"The models: {', '.join(f'{name} `{digest[:12]}`' for name, digest in digests.items())}.",
        *verdict_list(found, share),
    ]
    if picture:
        parts.append(f"![accuracy against the share that is asked]({picture})")
    parts += [
        TERMS,
        "## What one answer costs",
        markdown(cost_table(spent)),
        model_of_energy(),
    ]
    for name, told in found.items():
        cost = spent[told.model]
        parts += [
            f"## {name}",
            f"{told.rows} rows, {told.blocks} {told.block}. {heard(told)}",
            markdown(scene_table(told, cost)),
            "By the owner's budget, cases as they come, hard ones alone, the cache first:",
            markdown(budget_table(told, cost)),
        ]
    return "\n\n".join(parts) + "\n"


def heard(told: Told) -> str:
    """Whether a home would act on the teacher's word at all, and what the likeliest labels alone are worth."""
    by_card = (
        "The teacher's card shows it better on the hard cases of held-out days, so a home acts on its word."
        if told.better
        else "The teacher's card does not show it better on the hard cases of held-out days, so a home shows its word and does not act on it: what follows is what acting would give."
    )
    local, edge = told.likeliest
    return f"{by_card} The likeliest label, sure or not, is right in {local:.4f} (local) and {edge:.4f} (teacher)."


def verdict_list(found: dict[str, Told], share: float) -> list[str]:
    """The sentences, as a list."""
    return ["\n".join(f"- {one}." for one in verdict(found, share))]


def figures(found: dict[str, Told], spent: dict[str, Costs]) -> dict[str, object]:
    """Every figure, for JSON."""
    return {
        "scenes": {name: asdict(told) for name, told in found.items()},
        "costs": {name: asdict(one) for name, one in spent.items()},
    }
