"""Proofs over one appliance (extra [prove]): conditions, rules, guards and arbitration as formulas, and questions to them.

Owns the way to the process in which the solver runs. Never in here: the solver itself; importing this room imports none.
"""

import importlib.util
import pickle
import subprocess
import sys
from collections.abc import Iterable

import msgspec

from appliance.core.profile import Appliance
from appliance.errors import ApplianceError, ProfileError
from appliance.prove.report import Answer, Outcome, Phase, Report, Scenario, Witness

SECONDS_EACH = 30.0
"""So long an appliance may take; 40 rules over 8 channels need less."""
GRACE_S = 10.0
"""After its time the solver's process is given so long to say what it knows, and is ended then."""

__all__ = ["Answer", "Asked", "Outcome", "Phase", "Report", "Scenario", "Witness", "insist", "prove"]


class Asked(msgspec.Struct, frozen=True):
    """What is to be proved: an appliance, with its invariants. `bound` are the channels that something feeds; None: all."""

    spec: Appliance
    bound: frozenset[str] | None = None


def prove(
    asked: Iterable[Asked], *, seconds_each: float = SECONDS_EACH, notes: bool = True
) -> tuple[Report, ...]:
    """Return a report on each of `asked`, in their order; bounded by `seconds_each`, and by the end of a process beyond it.

    Without `notes` only the invariants are looked at.

    Blocks; whoever has a loop calls it in a thread.

    Raises:
        ApplianceError: the solver is not installed, or its process died.
    """
    wanted = list(asked)
    if importlib.util.find_spec("z3") is None:
        raise ApplianceError("z3-solver is not installed", hint="pip install 'appliance[prove]'")
    task = pickle.dumps(([(one.spec, one.bound) for one in wanted], seconds_each, notes))
    command = [sys.executable, "-m", "appliance.prove.child"]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            input=task,
            capture_output=True,
            timeout=seconds_each * len(wanted) + GRACE_S,
            check=False,
        )
        said, broken = done.stdout, done.stderr or b"it said nothing" if done.returncode else b""
    except subprocess.TimeoutExpired as late:
        said, broken = late.stdout or b"", b""
    if broken:
        last = broken.decode(errors="replace").strip().splitlines()[-1]
        raise ApplianceError(f"the solver's process failed: {last}", hint="report it, with the profile")
    reports = [
        msgspec.json.decode(line, type=Report)
        for line in said.splitlines(keepends=True)
        if line.endswith(b"\n")
    ]
    return (*reports, *(_unfinished(one.spec) for one in wanted[len(reports) :]))


def insist(asked: Iterable[Asked], *, seconds_each: float = 5.0) -> None:
    """Refuse what contradicts its own invariants. What can't be decided in time is let pass: no proof is no contradiction.

    Raises:
        ProfileError: with the claim, and the readings that break it.
        ApplianceError: as `prove`.
    """
    claiming = [one for one in asked if one.spec.invariants]
    for report in prove(claiming, seconds_each=seconds_each, notes=False) if claiming else ():
        for answer in report.answers:
            if answer.claim and answer.outcome is Outcome.FAILS and answer.witness is not None:
                witness = answer.witness
                by = "" if witness.source is None else f" by {witness.source}"
                raise ProfileError(
                    f"{report.appliance} ({report.profile}): its invariant {answer.subject} {answer.text}: "
                    f"{witness.text}; decided: {witness.decided}{by}",
                    hint="mend the rules or the invariant; appliance prove tells more",
                )


def _unfinished(spec: Appliance) -> Report:
    text = "the solver was ended before it answered"
    answer = Answer("everything", spec.id, Outcome.UNDECIDED, text, claim=True)
    return Report(spec.id, spec.profile, (answer,))
