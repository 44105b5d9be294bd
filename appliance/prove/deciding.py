"""Owns asking the real core what it decides in a snapshot: every witness is put to it before it is shown.

Never in here: formulas.
"""

import msgspec

from appliance.core.arbitration import Authority
from appliance.core.profile import Appliance
from appliance.core.rules import Conclusion, conclude
from appliance.core.snapshot import Snapshot
from appliance.core.weighing import weigh


class Decided(msgspec.Struct, frozen=True):
    """An action or mode (None: nobody acts), on whose authority, by which voice; and what the rules said."""

    action: str | None
    authority: Authority | None
    source: str
    conclusion: Conclusion


def decide(spec: Appliance, snapshot: Snapshot) -> Decided:
    """Return what the core decides in `snapshot`."""
    conclusion = conclude((*spec.rules, *spec.instead), snapshot)
    weighed = weigh(spec, snapshot, conclusion)
    by = weighed.verdict.decided_by
    if weighed.action is None or by is None:
        return Decided(None, None, "nobody", conclusion)
    return Decided(weighed.action, by.authority, by.source, conclusion)
