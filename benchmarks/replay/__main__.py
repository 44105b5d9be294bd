"""`python benchmarks/replay`: how fast a past is run again, and how large it is, one table.

The past is a simulated home that the shipped purifier's rules really decided for, into a real store. Each row is CPU time of this
process, the median of interleaved rounds; the bare driver is given the same moments from memory. Never in here: a rule or a home.
"""

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from living import Past

from appliance.adapters.store.recall import Recall
from appliance.cli.histories import home_of
from appliance.config import load_settings
from appliance.core.controller import Controller
from appliance.core.explain.flip import flips
from appliance.core.explain.what_if import Past as Question, Then
from appliance.core.home import Home
from appliance.daemon.past import Past as Rebuilding
from appliance.replay import Moment, Opening, checkpoint
from appliance.replay.checking import check

EVER_NS = 1 << 62
WEEK_DAYS = 7


def drive(history: Iterable[Opening | Moment], home: Home) -> None:
    """Run a history through the core, and nothing else."""
    controller: Controller | None = None
    for item in history:
        if isinstance(item, Opening):
            begin = (
                checkpoint.go_on if item.checkpoint.digest == checkpoint.digest(home) else checkpoint.begin
            )
            controller = Controller(home, begin(home, item.checkpoint, item.at))
        else:
            controller.handle(item.events, item.at)


def cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU seconds of this process, all its threads, that `work` takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


def read(past: Past) -> Recall:
    return Recall(past.config.with_name("state"), 0, EVER_NS, as_it_was=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--days", type=int, default=14, help="days of the past (default 14)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--profile", default="air_purifier", help="a shipped profile, or a file of one")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="make the past here and leave it: a config and its store"
    )
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = given.keep or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="appliance-past-"))
        )
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "state").exists():
            sys.exit(f"{folder} holds a past already: choose another folder, or remove it")
        print(f"living {given.days} days…", file=sys.stderr)
        past = Past(folder, given.profile, given.seed)
        past.live(given.days)
        measure(past, given.days, given.rounds)


def measure(past: Past, days: int, rounds: int) -> None:
    loaded = load_settings(past.config, {})
    home = home_of(loaded)
    bare = Home(home.appliances.values(), {}, home.zone)
    recall = read(past)
    moments = list(recall.history())
    readings = recall.readings
    report = check(iter(moments), recall.decided, home)
    if report.diverged or not report.compared:
        sys.exit(f"{report.diverged} of {report.compared} decisions part: the replay is not that of then")
    systems: dict[str, Callable[[], object]] = {
        "bare driver, no model": lambda: drive(moments, bare),
        "from the store, no model": lambda: drive(read(past).history(), bare),
        "bare driver, with the model": lambda: drive(moments, home),
        "from the store, with the model": lambda: drive(read(past).history(), home),
        "replay --check, with the model": lambda: check(read(past).history(), recall.decided, home),
    }
    taken: dict[str, list[float]] = {name: [] for name in systems}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}…", file=sys.stderr)
        for name, work in systems.items():
            with contextlib.redirect_stderr(io.StringIO()):
                taken[name].append(cpu_s(work))
    base = 0.0
    print(
        f"{readings:,} readings of {days} days, {report.compared} decisions: actions and voices are identical\n"
    )
    print(f"{'':<34}{'readings/s':>12}{'spread':>9}{'µs a reading':>14}{'× bare':>8}")
    for name, seconds in taken.items():
        middle = statistics.median(seconds)
        base = middle if name.startswith("bare") else base
        spread = (max(seconds) - min(seconds)) / middle
        print(
            f"{name:<34}{readings / middle:>12,.0f}{spread:>9.0%}{middle / readings * 1e6:>14.1f}{middle / base:>8.2f}"
        )
    rebuilding(past, home, recall)
    sizes(past, days)


def rebuilding(past: Past, home: Home, recall: Recall) -> None:
    """Tell how long it takes to get back to a decision, and to find its nearest flip."""
    decisions = list(recall.decided(0))
    chosen = decisions[:: max(len(decisions) // 20, 1)]
    back, search, failed = [], [], 0
    ask = Rebuilding(past.config.with_name("state"))
    for decision in chosen:
        began = time.perf_counter()
        then = ask(home, decision)
        back.append(time.perf_counter() - began)
        if not isinstance(then, Then):
            failed += 1
            continue
        began = time.perf_counter()
        flips(Question(home, then, decision.appliance, decision.at), basis="")
        search.append(time.perf_counter() - began)
    print(
        f"\nto a decision of the past, from the checkpoint before it: median {statistics.median(back) * 1000:,.0f} ms, "
        f"longest {max(back) * 1000:,.0f} ms; {failed} of {len(chosen)} not within the bounds; "
        f"its flips: median {statistics.median(search) * 1000:,.0f} ms"
    )


def sizes(past: Past, days: int) -> None:
    """Tell what the two files take, and what of it decisions are."""
    for name in ("decisions", "readings"):
        size = past.config.with_name("state").joinpath(f"{name}.sqlite3").stat().st_size
        print(f"{name}.sqlite3: {size / 1e6:.2f} MB, {size / 1e6 / days * WEEK_DAYS:.2f} MB a week")


if __name__ == "__main__":
    main()
