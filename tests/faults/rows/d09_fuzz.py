"""D9: requests by the interface's own description with values out of bounds, and hardly HTTP. Promise: 0 of 5xx in 100,000.

By the command `python -m tests.faults.fuzz_http`, which also tells which bytes led to a fault.
"""

from tests.faults.fuzz_http import fuzz, log_faults
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, exactly
from tests.faults.wire import p95

ROW = Row("D9", "fuzzed requests", "0 of 5xx in 100,000", minutes=12)


def run(lab: Lab, size: Size) -> list[Figure]:
    daemon = lab.home()
    outcome = fuzz(daemon, size.of(100_000, 1000), seed=9)
    first = next((f"{kind}, for {case.raw[:200]!r}" for kind, case, _ in outcome.faults), "")
    return [
        at_least("cases", outcome.cases, "", size.of(100_000, 1000)),
        exactly("answers of 5xx", outcome.broken, "", 0),
        exactly(f"other faults of answers {first}", len(outcome.faults), "", 0),
        exactly("lines of the log that tell of an error", len(log_faults(daemon.log())), "", 0),
        at_least("of them taken as fit, 200", outcome.statuses[200], "", size.of(10_000, 100)),
        Figure("others answered meanwhile within, p95", p95(outcome.took), "ms", "reported", holds=True),
    ]
