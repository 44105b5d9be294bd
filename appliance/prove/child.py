"""Owns the process in which the solver runs: what is to be proved comes in on standard input, one report a line goes out.

It is a process of its own so that a solver that runs away can be ended, whatever it does. Never in here: what is asked.
"""

import pickle
import sys
import time

import msgspec
import z3

from appliance.core.profile import Appliance
from appliance.prove.claims import Questions
from appliance.prove.examination import Examination
from appliance.prove.report import Report
from appliance.prove.switching import switching

MEMORY_MB = 1024
"""More than this the solver may not take: a small computer has no more to give."""


def examine(spec: Appliance, bound: frozenset[str] | None, *, deadline: float, notes: bool = True) -> Report:
    """Return everything that was found out about `spec` until `deadline`, in seconds of the monotonic clock."""
    began = time.monotonic()
    examination = Examination(spec, deadline=deadline, bound=bound)
    answers = list(Questions(examination).answers(notes=notes))
    if notes:
        answers += switching(spec, deadline=deadline, bound=bound)
    return Report(
        spec.id,
        spec.profile,
        tuple(answers),
        tuple(examination.here.beyond),
        examination.solver.queries,
        round(time.monotonic() - began, 3),
    )


def main() -> None:
    """Read what is to be proved, and write a report for each as soon as it is there."""
    z3.set_param("memory_max_size", MEMORY_MB)
    # From our own parent, through a pipe that nobody else has.
    asked, seconds_each, notes = pickle.load(sys.stdin.buffer)  # noqa: S301
    for spec, bound in asked:
        report = examine(spec, bound, deadline=time.monotonic() + seconds_each, notes=notes)
        sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
