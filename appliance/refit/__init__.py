"""Training at the edge: a head on a bundle's logits, its calibration and its novelty region, refitted to one home's labels, in numpy."""

from appliance.refit.gate import Check
from appliance.refit.gathering import Gathered, gather, told
from appliance.refit.head import fit_head
from appliance.refit.material import Material
from appliance.refit.refitting import Outcome, refit, score

__all__ = ["Check", "Gathered", "Material", "Outcome", "fit_head", "gather", "refit", "score", "told"]
