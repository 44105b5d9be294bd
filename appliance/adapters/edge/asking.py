"""Owns a question to a teacher on the edge: its metadata, its golden rows, and a case beside one of them.

Only rows of features leave; ids are random. Never in here: HTTP, whether a question may be asked, or what follows from an answer.
"""

import secrets
from collections.abc import Sequence
from urllib.parse import quote

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.adapters.edge import believing, wire
from appliance.adapters.edge.failing import Unanswered
from appliance.adapters.edge.http import Exchange
from appliance.adapters.edge.terms import Teacher
from appliance.errors import EdgeError

OVERHEAD = 900
"""Bytes that headers and an answer of a few rows take, about: expected of a question before it is asked, beside its body."""


class _Tensor(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int] = []


class _Metadata(msgspec.Struct):
    name: str
    inputs: list[_Tensor]
    outputs: list[_Tensor]


class _Server(msgspec.Struct):
    extensions: list[str] = []


class Questions:
    """What is asked of one `teacher` over `exchange`. `meet` it first: it tells how its tensors are called there."""

    def __init__(self, teacher: Teacher, exchange: Exchange) -> None:
        self.teacher = teacher
        self._exchange = exchange
        self._path = f"/v2/models/{quote(teacher.name, safe='')}/versions/{teacher.version}"
        self._names = (wire.INPUT, wire.OUTPUT)
        self._binary = False
        self._rows, self._due = believing.golden(teacher)

    @property
    def cost(self) -> int:
        """Bytes that `meet` is expected to cost."""
        return self._size(len(self._rows)) + 3 * OVERHEAD

    @property
    def case_cost(self) -> int:
        """Bytes that `case` is expected to cost."""
        return self._size(2) + OVERHEAD

    async def meet(self, deadline_s: float) -> None:
        """Ask for the names of its tensors and for golden rows: it is the very model of the bundle. Raises Unanswered."""
        body, _ = await self._exchange.fetch(self._path, deadline_s)
        try:
            told = msgspec.json.decode(body, type=_Metadata)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as broken:
            raise Unanswered("nonsense", f"the edge describes no model: {str(broken)[:200]}") from None
        floats = [
            [one for one in tensors if one.datatype == "FP32"] for tensors in (told.inputs, told.outputs)
        ]
        if told.name != self.teacher.name or len(told.inputs) != 1 or not all(floats):
            raise Unanswered(
                "nonsense",
                f"the edge's {self.teacher.name} is no model with one FP32 input and an FP32 output",
                whose="model",
            )
        self._names = (floats[0][0].name, floats[1][0].name)
        self._binary = await self._takes_bytes(deadline_s)
        said = await self._said(self._rows, deadline_s)
        believing.same(said, self._due, self.teacher.labels, self.teacher.name)

    async def case(self, row: Sequence[float], deadline_s: float) -> tuple[float, ...]:
        """Return the probabilities (L,) of `row` (F,), which a golden row came back with as it should. Raises Unanswered."""
        # The same one for the same row, so that a server's own cache may know the pair.
        which = hash(tuple(row)) % len(self._rows)
        pair = np.array([row, self._rows[which]], np.float32)
        said = await self._said(pair, deadline_s)
        believing.same(said[1:], self._due[which : which + 1], self.teacher.labels, self.teacher.name)
        believing.probabilities(said[:1], self.teacher.name)
        return tuple(said[0].tolist())

    async def _takes_bytes(self, deadline_s: float) -> bool:
        """Return whether the server lists the extension of tensors as bytes, which take a third of JSON's; text does everywhere."""
        try:
            body, _ = await self._exchange.fetch("/v2", deadline_s)
            return "binary_tensor_data" in msgspec.json.decode(body, type=_Server).extensions
        except (Unanswered, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False

    async def _said(self, rows: NDArray[np.float32], deadline_s: float) -> NDArray[np.float32]:
        name, output = self._names
        asked = secrets.token_hex(4)
        content, headers = wire.encode_request(rows, id=asked, binary=self._binary, name=name, output=output)
        body, told = await self._exchange.fetch(f"{self._path}/infer", deadline_s, content, headers)
        try:
            said = wire.decode_response(
                body,
                told,
                id=asked,
                model=self.teacher.name,
                version=str(self.teacher.version),
                rows=len(rows),
                labels=len(self.teacher.labels),
                output=output,
            )
        except EdgeError as broken:
            raise Unanswered("nonsense", broken.message, whose="model") from None
        return said

    def _size(self, rows: int) -> int:
        return rows * (20 * self.teacher.features + 22 * len(self.teacher.labels)) + 200
