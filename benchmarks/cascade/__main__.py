"""`python benchmarks/cascade`: what asking an edge server about the least sure rows gains, against what it costs.

Nothing is tuned here: models, thresholds, steps and shares are what cards and settings say. The test files of `presence` are opened only with
`--open-tests`, and every such opening is entered beside the bundle. Never in here: a verdict, a policy, a cost or a word of the page.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import budgeting
import costs
import offloading
import telling
from scenes import Scene, scene

from appliance.bundle import TEACHER, TEACHER_OPERATORS, Bundle, load_bundle, shipped
from appliance.cli.learning import simulated
from appliance.config.tables import EdgeTable
from appliance.daemon.edging import bigger
from appliance.learn import drawing, sources
from appliance.learn.judging import interval, macro_f1
from appliance.learn.ledger import Opening, Result, enter
from appliance.learn.recipe import load_recipe

HOMES = range(9000, 9012)
"""Seeds of simulated homes that no recipe, report or other benchmark uses."""
DAYS = 2.0
SETTINGS = EdgeTable(url="http://127.0.0.1")
DEFAULT_SHARE = SETTINGS.cases_percent / 100
"""At the share that is offered where nobody says otherwise it is judged whether asking pays."""
NAMES = {"presence": "somebody", "air-event": "emitting"}
"""The models, and what is true of a simulated row for each."""


def bundles(name: str) -> tuple[Bundle, Bundle]:
    return load_bundle(shipped(name)), load_bundle(shipped(f"{name}{TEACHER}"), allowed=TEACHER_OPERATORS)


def line(one: Scene, outcome: offloading.Outcome, base: offloading.Outcome) -> telling.Line:
    """The figures of one policy in one scene, beside those of the local model alone."""
    right = (outcome.word == one.labels).astype(float)
    gain = right - (base.word == one.labels)
    low, high = interval(right, one.block)
    less, more = interval(gain, one.block)
    sure = outcome.sure
    return telling.Line(
        asked=float(outcome.asked.mean()),
        answered=float(outcome.answered.mean()),
        accuracy=float(right.mean()),
        low=low,
        high=high,
        gain=float(gain.mean()),
        less=less,
        more=more,
        macro_f1=macro_f1(one.labels, outcome.word),
        sure=float(sure.mean()),
        sure_right=float(right[sure].mean()) if sure.any() else 0.0,
        wrong_hits=float(outcome.wrong_hit.sum() / max(1, (outcome.answered & ~outcome.asked).sum())),
    )


def swept(one: Scene) -> dict[str, list[tuple[float, telling.Line]]]:
    """Every policy's figures by the share that is offered."""
    base = offloading.local_only(one)
    rng = np.random.default_rng(0)
    found: dict[str, list[tuple[float, telling.Line]]] = {
        telling.LOCAL: [(0.0, line(one, base, base))],
        telling.EDGE: [(1.0, line(one, offloading.always_edge(one), base))],
    }
    for share in offloading.SHARES:
        for word, cached in ((telling.CASCADE, False), (telling.CACHED, True)):
            made = offloading.cascade(one, share, cached=cached)
            found.setdefault(word, []).append((share, line(one, made, base)))
        draws = [line(one, offloading.at_random(one, share, rng), base) for _ in range(offloading.DRAWS)]
        found.setdefault(telling.RANDOM, []).append((share, telling.mean(draws)))
    return found


def opened(name: str) -> dict[str, list]:
    """Open the test files of the recipe `name`."""
    recipe, beside = load_recipe(name)
    return sources.tests(recipe, beside, None, sources.training(recipe, beside, None))


def enter_opening(scenes: list[Scene], local: Bundle, edge: Bundle) -> None:
    """Enter that the test files were opened, and what asking about `DEFAULT_SHARE` of the rows reached there."""
    scores = {}
    for one in scenes:
        made = offloading.cascade(one, DEFAULT_SHARE, cached=True)
        got = line(one, made, offloading.local_only(one))
        scores[one.name.split(", ")[1]] = Result(
            round(got.accuracy, 4),
            round(got.macro_f1, 4),
            round(got.low, 4),
            round(got.high, 4),
            sure=round(got.sure, 4),
            sure_right=round(got.sure_right, 4),
        )
    by = f"the least sure {DEFAULT_SHARE:.0%} answered by {edge.card.name} `{edge.digest[:12]}` (benchmarks/cascade)"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    enter(
        Path(str(shipped(local.card.name))),
        Opening(now, local.card.version, local.digest, scores, by),
        list(scores),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--open-tests", action="store_true", help="also judge on the test files, and enter that"
    )
    parser.add_argument("--homes", type=int, default=len(HOMES), help="simulated homes")
    parser.add_argument("--edge", help="an edge server that runs already, as http://nas.local:8478")
    parser.add_argument("--token", help="the token that it asks for")
    parser.add_argument("--page", type=Path, help="write the page here, and its picture beside it")
    parser.add_argument("--out", type=Path, help="also write every figure as JSON")
    given = parser.parse_args()
    pairs = {name: bundles(name) for name in NAMES}
    models = bigger(SETTINGS, NAMES)
    digests = {one.card.name: one.digest for pair in pairs.values() for one in pair}
    with running(given.edge) as (url, pid):
        spent = {name: costs.measured(*pair, url, given.token, pid) for name, pair in pairs.items()}
    scenes: list[tuple[str, Scene, str]] = []
    if given.open_tests:
        tests = [
            scene(f"presence, {test}", some, *pairs["presence"], models["presence"], by_day=True)
            for test, some in opened("presence").items()
        ]
        # Before anything is shown: who looks has been counted.
        enter_opening(tests, *pairs["presence"])
        scenes = [("presence", one, "days") for one in tests]
    for name, truth in NAMES.items():
        homes = list(simulated(HOMES[: max(3, given.homes)], DAYS, 60.0, truth))
        scenes.append(
            (
                name,
                scene(f"{name}, simulated homes", homes, *pairs[name], models[name], by_day=False),
                "homes",
            )
        )
    found = {}
    for name, one, block in scenes:
        base = offloading.local_only(one)
        budgets = [
            (cases, mb, line(one, budgeting.under(one, cases, mb, spent[name].bytes, 0), base))
            for cases, mb in budgeting.pairs()
        ]
        right = [float((by.likeliest == one.labels).mean()) for by in (one.local, one.edge)]
        found[one.name] = telling.Told(
            name,
            swept(one),
            budgets,
            one.a_day,
            len(one.labels),
            len(np.unique(one.block)),
            block,
            models[name].better,
            (right[0], right[1]),
        )
    print(telling.page(found, spent, digests, None, DEFAULT_SHARE))
    if given.page is not None:
        picture = given.page.with_suffix(".svg")
        picture.write_text(
            drawing.offloading(telling.panels(found, spent), telling.title(found, DEFAULT_SHARE)), "utf-8"
        )
        given.page.write_text(telling.page(found, spent, digests, picture.name, DEFAULT_SHARE), "utf-8")
    if given.out is not None:
        given.out.write_text(json.dumps(telling.figures(found, spent), indent=2) + "\n", "utf-8")


@contextlib.contextmanager
def running(url: str | None) -> Iterator[tuple[str, int | None]]:
    """The server at `url`, or one of our own."""
    if url is not None:
        yield url, None
        return
    with costs.serving(Path(str(shipped("presence"))).parent) as (own, pid):
        yield own, pid


if __name__ == "__main__":
    main()
