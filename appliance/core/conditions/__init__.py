"""The words of a rule: text -> condition tree -> True | False | unknown."""

from appliance.core.conditions.nodes import Acknowledged, Doing, DoingUnknown, For, Node, Surroundings, Truth
from appliance.core.conditions.parser import parse
from appliance.core.conditions.tokens import is_name
from appliance.core.conditions.vocabulary import RESERVED, UNSAYABLE, Vocabulary, duration_ns

__all__ = [
    "RESERVED",
    "UNSAYABLE",
    "Acknowledged",
    "Doing",
    "DoingUnknown",
    "For",
    "Node",
    "Surroundings",
    "Truth",
    "Vocabulary",
    "duration_ns",
    "is_name",
    "parse",
]
