"""Training at the edge: a head on a bundle's logits, its calibration and its novelty region, refitted to one home's labels, in numpy."""

from appliance.refit.gate import (
    Check,
    as_right,
    better_loss,
    enough,
    enough_to_train,
    golden,
    since_then,
)
from appliance.refit.gathering import Gathered, gather, told
from appliance.refit.head import fit_head, row_weights
from appliance.refit.material import Material
from appliance.refit.refitting import Outcome, next_number, refit, region_of, said_now, score, seen_until

__all__ = [
    "Check",
    "Gathered",
    "Material",
    "Outcome",
    "as_right",
    "better_loss",
    "enough",
    "enough_to_train",
    "fit_head",
    "gather",
    "golden",
    "next_number",
    "refit",
    "region_of",
    "row_weights",
    "said_now",
    "score",
    "seen_until",
    "since_then",
    "told",
]
