"""Owns the answers to "why", "why not" and "what if".

What rules and decisions themselves need is offered here; `why_not`, `flip` and the rest stand above them and are imported
by name. Never in here: deciding.
"""

from appliance.core.explain.why import fill, inputs, lines, places, sentence

__all__ = ["fill", "inputs", "lines", "places", "sentence"]
