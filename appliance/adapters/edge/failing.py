"""Owns the ways in which an edge fails to answer, and whose fault each is.

Never in here: what follows from it.
"""

from typing import Literal

from appliance.errors import EdgeError

Whose = Literal["link", "model", "row"]


class Unanswered(EdgeError):
    """No answer that may be believed. `reason` is a short counted word; `whose`: the whole edge's fault, one model's, or this row's alone.

    `wait_s`: the edge asked to be left alone for so long. `again`: the same may go well a moment later.
    """

    def __init__(
        self, reason: str, message: str, *, whose: Whose = "link", wait_s: float = 0.0, again: bool = False
    ) -> None:
        super().__init__(message, hint="look at the edge server; rules and the local model go on without it")
        self.reason = reason
        self.whose = whose
        self.wait_s = wait_s
        self.again = again
