"""Owns one tensor of the Open Inference Protocol v2: its data types, and its values as JSON or as bytes.

Never in here: what a request or an answer is made of (wire), or which tensors a model takes.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.errors import ApplianceError

MAX_DIMENSIONS = 8
MAX_ELEMENTS = 1 << 24
"""Of one tensor, 64 MiB of float32: more than any body that is let in can hold."""

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
"""The protocol's data types that numpy has; its bytes are little-endian (Binary Tensor Data Extension). BYTES and BF16 are not spoken here."""


class WireError(ApplianceError):
    """What came does not follow the protocol, or cannot be served: the HTTP `status`, and a message for whoever sent it."""

    def __init__(
        self, status: int, message: str, *, hint: str = "see the Open Inference Protocol, version 2"
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status


def _decoders(kind: type) -> tuple[msgspec.json.Decoder[Any], ...]:
    """Return decoders of lists within lists, as deep as a tensor may be."""
    made, deeper = [], list[kind]  # type: ignore[valid-type]
    for _ in range(MAX_DIMENSIONS):
        made.append(msgspec.json.Decoder(deeper))
        deeper = list[deeper]  # type: ignore[valid-type]
    return tuple(made)


_OF_KIND = {"b": _decoders(bool), "u": _decoders(int), "i": _decoders(int), "f": _decoders(float)}

_LARGEST = {dtype: float(np.finfo(dtype).max) for dtype in DTYPES.values() if dtype.kind == "f"}


def dtype_of(datatype: str) -> np.dtype[Any]:
    """Return numpy's type of a data type of the protocol. Raises WireError (400)."""
    found = DTYPES.get(datatype)
    if found is None:
        raise WireError(400, f"the data type {datatype[:40]!r} is not one of {', '.join(DTYPES)}")
    return found


def elements(name: str, shape: Sequence[int]) -> int:
    """Return how many values `shape` holds. Raises WireError (400): it is none, or too large."""
    if len(shape) > MAX_DIMENSIONS or any(not 0 <= size <= MAX_ELEMENTS for size in shape):
        raise WireError(400, f"{name}: {_told(shape)} is not a shape")
    count = prod(shape)
    if count > MAX_ELEMENTS:
        raise WireError(400, f"{name}: {_told(shape)} holds more than {MAX_ELEMENTS} values")
    return count


def from_json(name: str, datatype: str, shape: Sequence[int], data: bytes | memoryview) -> NDArray[Any]:
    """Return the values of `data`, a JSON array: flat in row-major order, or nested as `shape` says.

    Raises:
        WireError: 400: the values are ragged, of another type or range than `datatype`, or not as many as `shape` says.
    """
    dtype, count = dtype_of(datatype), elements(name, shape)
    nested = _depth(data) > 1
    depth = len(shape) if nested else 1
    if not depth:
        raise WireError(400, f"{name}: the data is nested, and the shape is []")
    try:
        listed = _OF_KIND[dtype.kind][depth - 1].decode(data)
        if depth == 1 and dtype.kind == "f":
            # The ordinary case, and the dearest part of an answer: a list's ends cost less than asking every value of an array.
            if listed and not (-_LARGEST[dtype] <= min(listed) and max(listed) <= _LARGEST[dtype]):
                raise WireError(400, f"{name}: data of {datatype}: a number is out of range")
            values: NDArray[Any] = np.array(listed, dtype)
        else:
            with np.errstate(over="ignore"):
                values = np.array(listed, dtype)
    except msgspec.MsgspecError as broken:
        raise WireError(400, f"{name}: data of {datatype}: {broken}") from None
    except (ValueError, OverflowError) as broken:
        told = "ragged" if "inhomogeneous" in str(broken) else str(broken)[:100]
        raise WireError(400, f"{name}: data of {datatype}: {told}") from None
    if depth > 1 and dtype.kind == "f" and not np.isfinite(values).all():
        # JSON has no infinity: a number came that the type cannot hold.
        raise WireError(400, f"{name}: data of {datatype}: a number is out of range")
    if nested and values.shape != tuple(shape):
        raise WireError(400, f"{name}: the shape is {_told(shape)}, the data's {_told(values.shape)}")
    if values.size != count:
        raise WireError(400, f"{name}: {values.size} values, and the shape {_told(shape)} has {count}")
    return values.reshape(shape)


def from_bytes(name: str, datatype: str, shape: Sequence[int], data: bytes | memoryview) -> NDArray[Any]:
    """Return the values of `data`, little-endian in row-major order. Raises WireError (400): not as many as `shape` says."""
    dtype, count = dtype_of(datatype), elements(name, shape)
    if len(data) != count * dtype.itemsize:
        raise WireError(
            400,
            f"{name}: {len(data)} bytes, and {datatype} of shape {_told(shape)} has {count * dtype.itemsize}",
        )
    if dtype.kind == "b" and max(data, default=0) > 1:
        raise WireError(400, f"{name}: a byte of BOOL is 0 or 1")
    values = np.frombuffer(data, dtype, count).reshape(shape)
    # After a head of any length values lie anywhere; a model wants them where their type does.
    return values if values.flags.aligned else values.copy()


def _depth(data: bytes | memoryview) -> int:
    """Return 2 where the JSON array begins with another, else 1."""
    begins = bytes(data[:64]).lstrip(b" \t\r\n")
    return 2 if begins[:1] == b"[" and begins[1:].lstrip(b" \t\r\n")[:1] == b"[" else 1


def _told(shape: Sequence[int]) -> str:
    return f"[{','.join(str(size)[:20] for size in shape[: MAX_DIMENSIONS + 1])}]"
