"""Fuzz the HTTP interface of a real daemon: `python -m tests.faults.fuzz_http --cases 100000 --seed 1` prints what came of it.

What must not be: an answer with a status of 5xx, one that is not HTTP or whose JSON is none, an error that is no problem
document, an answer that repeats what was sent or carries the token, a write without the token, a connection that is
kept for what is whole, or a line of the log that tells of an error. Each is printed with the bytes that led to it.

`--schemathesis` lets that tool, where it is installed (`pip install schemathesis`; the tests do not need it), search the
same daemon through its own description.
"""

import argparse
import asyncio
import collections
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.forge import CANARY, Case, Forge
from tests.faults.handle import Handle
from tests.faults.lab import Lab
from tests.faults.wire import Answer, ask, p95, say, whole

AT_ONCE = 48
"""Connections at once; the server takes 128."""
PATIENCE_S = 5.0
HURRY_S = 0.5
"""So long is an answer awaited: a request that is whole has one, and of others it may be that the server waits for more."""
NAMES = {
    "appliance": ("fan", "heater"),
    "action": ("off", "low", "high", "on"),
    "channel": ("pm2_5", "co2", "temperature", "power"),
    "name": ("index.html", "page.css", "page.js"),
    "unit": ("µg/m³", "°C", "°F", "ppm", "W"),
    "rule": ("dusty", "cold", "overheat"),
    "source": ("rule dusty", "dusty"),
    "decision_id": ("1", "2", "3"),
}
_WRITES = re.compile(rb"(PUT|DELETE|POST|PATCH) (?!/v1/decide[ ?])")


@dataclass
class Outcome:
    """What came of all cases."""

    cases: int = 0
    seconds: float = 0.0
    statuses: collections.Counter[int] = field(default_factory=collections.Counter)
    faults: list[tuple[str, Case, bytes]] = field(default_factory=list)
    took: list[float] = field(default_factory=list)

    @property
    def broken(self) -> int:
        """How many answers had a status of 5xx."""
        return sum(count for status, count in self.statuses.items() if status >= 500)

    def found(self, kind: str) -> int:
        """How many faults of a kind there are."""
        return sum(1 for fault, _, _ in self.faults if fault == kind)


def fuzz(daemon: Handle, cases: int, seed: int) -> Outcome:
    """Send `cases` cases to `daemon`; return what came of them."""
    return asyncio.run(_fuzz(daemon, cases, seed))


async def _fuzz(daemon: Handle, cases: int, seed: int) -> Outcome:
    forge = Forge(seed, daemon.ask("/openapi.json"), daemon.token, NAMES)
    outcome = Outcome()
    began = time.monotonic()
    made = iter(range(cases))

    async def send() -> None:
        for number in made:
            case = forge.case()
            answer = await _sent(daemon.port, case, number)
            outcome.cases += 1
            outcome.statuses[answer.status] += 1
            for fault in judge(case, answer, daemon.token):
                outcome.faults.append((fault, case, answer.raw))
            if number % 100 == 0:
                probe = await say(daemon.port, ask("/v1/appliances"), wait_s=30)
                outcome.took.append(probe.seconds)
                if probe.status != 200:
                    outcome.faults.append(("no answer to others meanwhile", case, probe.raw))

    await asyncio.gather(*(send() for _ in range(AT_ONCE)))
    outcome.seconds = time.monotonic() - began
    return outcome


async def _sent(port: int, case: Case, number: int) -> Answer:
    # Who guesses at the token is locked out: the guesses come from elsewhere, each from another address.
    source = "127.0.0.1" if case.trusted else f"127.1.{number // 250 % 250}.{number % 250 + 1}"
    for attempt in range(3):
        answer = await say(
            port, case.raw, source=source, wait_s=PATIENCE_S if case.kind == "schema" else HURRY_S
        )
        if answer.status != 503 or answer.code != "too-many-connections":
            break
        await asyncio.sleep(0.2 * (attempt + 1))
    return answer


def judge(case: Case, answer: Answer, token: str) -> Iterable[str]:
    """Yield what is wrong with the answer."""
    if answer.status >= 500:
        yield "5xx"
    if answer.raw and not answer.status:
        yield "no HTTP"
    if token.encode() in answer.raw:
        yield "the token is told"
    if CANARY.encode() in answer.raw and b'"until"' not in case.raw:
        yield "what was sent is told"
    is_problem = b"content-type: application/problem+json" in answer.head
    if answer.status >= 400 and not is_problem and not (answer.status == 405 or case.raw.startswith(b"HEAD")):
        yield "an error that is no problem"
    if (
        b"json\r\n" in answer.head + b"\r\n"
        and answer.count == 1
        and whole(answer.raw)
        and not case.raw.startswith(b"HEAD")
    ):
        try:
            json.loads(answer.body, parse_constant=_no_number)
        except ValueError:
            yield "no JSON"
    if not case.trusted and 200 <= answer.status < 300 and _WRITES.match(case.raw):
        yield "written without the token"


def _no_number(name: str) -> None:
    raise ValueError(name)


def log_faults(log: str) -> list[str]:
    """Return the lines of a log that tell of an error, are too long, or are not of its form."""
    wrong = []
    for line in log.splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            wrong.append(line)
            continue
        if told["level"] in ("error", "critical") or "trace" in told or len(line) > 2000:
            wrong.append(line)
    return wrong


def schemathesis(daemon: Handle) -> int:
    """Let schemathesis search the daemon; return its exit code."""
    beside = Path(sys.executable).with_name("schemathesis")
    tool = str(beside) if beside.exists() else shutil.which("schemathesis")
    if tool is None:
        print("schemathesis is not installed: pip install schemathesis", file=sys.stderr)
        return 2
    url = f"http://127.0.0.1:{daemon.port}/openapi.json"
    # The stream never ends by itself: it has tests of its own.
    options = [
        "--checks",
        "not_a_server_error,response_schema_conformance,content_type_conformance",
        "--exclude-path",
        "/v1/events",
    ]
    token = ["--header", f"Authorization: Bearer {daemon.token}"]
    return subprocess.run([tool, "run", url, *options, *token], cwd=daemon.folder, check=False).returncode


def main() -> int:
    """Fuzz a daemon of one's own; return 1 where something must not be."""
    asked = argparse.ArgumentParser(
        prog="python -m tests.faults.fuzz_http", description=__doc__.partition("\n")[0]
    )
    asked.add_argument("--cases", type=int, default=100_000)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument(
        "--schemathesis", action="store_true", help="let schemathesis search instead, where it is installed"
    )
    given = asked.parse_args()
    with Lab() as lab:
        daemon = lab.home()
        if given.schemathesis:
            return schemathesis(daemon)
        outcome = fuzz(daemon, given.cases, given.seed)
        wrong = log_faults(daemon.log())
        alive = not daemon.ended and daemon.health()["ready"]
        peak = daemon.peak_mib()
    statuses = ", ".join(f"{status or 'none'}: {count}" for status, count in sorted(outcome.statuses.items()))
    print(
        f"{outcome.cases} cases, seed {given.seed}, {outcome.seconds:.0f} s ({outcome.cases / outcome.seconds:.0f} a second)"
    )
    print(f"answers by status: {statuses}")
    print(
        f"5xx: {outcome.broken}; others were answered meanwhile within {p95(outcome.took):.0f} ms (p95); memory at most {peak:.0f} MiB"
    )
    kinds = collections.Counter(fault for fault, _, _ in outcome.faults)
    for kind, count in kinds.items():
        print(f"{kind}: {count}")
        for fault, case, raw in [one for one in outcome.faults if one[0] == kind][:5]:
            print(f"  {fault}: {case.raw[:400]!r}\n    -> {raw[:400]!r}")
    print(
        f"lines of the log that tell of an error: {len(wrong)}",
        *(line[-400:] for line in wrong[:5]),
        sep="\n  ",
    )
    print("the daemon is in control" if alive else "THE DAEMON IS NOT IN CONTROL")
    return 1 if kinds or wrong or not alive else 0


if __name__ == "__main__":
    sys.exit(main())
