"""The words of a rule: text -> condition tree -> True | False | unknown."""

from appliance.core.conditions.nodes import For, Node, Surroundings, Truth
from appliance.core.conditions.parser import Vocabulary, duration_ns, parse

__all__ = ["For", "Node", "Surroundings", "Truth", "Vocabulary", "duration_ns", "parse"]
