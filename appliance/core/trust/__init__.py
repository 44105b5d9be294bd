"""What a model has earned: prediction sets, novelty, labels that make it more careful -> the word and quality of its channel;
audits that show whether it may act at all.

`fitting`, which a decision does not need, is not imported from here.
"""

from appliance.core.trust.adapting import RATE, Adapted, adapt
from appliance.core.trust.audits import Audits, Standing, acts, audited, labelled, standing
from appliance.core.trust.drawing import next_audit_ns
from appliance.core.trust.judging import HARD, NONE_FITS, UNKNOWN, UNLIKE, Trust, judge, verdict
from appliance.core.trust.novelty import Region
from appliance.core.trust.sequences import interval
from appliance.core.trust.sets import ALPHA, ALPHAS, Sets, needed
from appliance.core.trust.tally import Counted

__all__ = [
    "ALPHA", "ALPHAS", "HARD", "NONE_FITS", "RATE", "UNKNOWN", "UNLIKE", "Adapted", "Audits", "Counted", "Region", "Sets", "Standing",
    "Trust", "acts", "adapt", "audited", "interval", "judge", "labelled", "needed", "next_audit_ns", "standing", "verdict",
]  # fmt: skip
