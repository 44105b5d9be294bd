"""Owns the Open Inference Protocol v2 on the wire: requests and answers, as JSON and with the binary tensor extension.

Bytes in, values out, for client and server alike. Never in here: sockets, HTTP beyond the names of headers, or what a model is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.adapters.edge.tensors import WireError, from_bytes, from_json
from appliance.errors import EdgeError

HEADER_LENGTH = "inference-header-content-length"
"""Of a body with binary data: how many bytes of JSON come first (Binary Tensor Data Extension)."""
INPUT, OUTPUT = "features", "probabilities"
"""How our models name their tensors: FP32 [N, F] and FP32 [N, L]."""
MAX_INPUTS = 16
MAX_ID = 128
JSON, BINARY = "application/json", "application/octet-stream"

__all__ = [
    "BINARY",
    "HEADER_LENGTH",
    "INPUT",
    "JSON",
    "OUTPUT",
    "InferRequest",
    "Output",
    "Wanted",
    "WireError",
]
__all__ += ["decode_request", "decode_response", "encode_request", "encode_response"]


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """One output that a request asks for, and whether it shall come as bytes."""

    name: str
    binary: bool


class InferRequest(msgspec.Struct, frozen=True):
    """What somebody asks a model. `inputs` have the shape and type that the request says; of `wanted` none means all outputs, `binary` then
    whether as bytes. `version` is in the path, not in here.
    """

    id: str
    inputs: dict[str, NDArray[Any]]
    wanted: tuple[Wanted, ...] = ()
    binary: bool = False


class Output(msgspec.Struct, frozen=True):
    """One tensor of an answer: its values in the type that `datatype` names, and whether it goes as bytes."""

    name: str
    datatype: str
    values: NDArray[Any]
    binary: bool = False


class _Parameters(msgspec.Struct, gc=False, omit_defaults=True):
    """Those parameters of requests, inputs and outputs that mean something here; others are passed over, as the protocol has it."""

    binary_data_size: int | None = None
    binary_data_output: bool | None = None
    binary_data: bool | None = None
    classification: int = 0
    shared_memory_region: str | None = None


_NO_DATA = msgspec.Raw(b"")


class _Tensor(msgspec.Struct, omit_defaults=True):
    name: str
    shape: list[int]
    datatype: str
    parameters: _Parameters | None = None
    data: msgspec.Raw = _NO_DATA


class _Asked(msgspec.Struct, omit_defaults=True):
    name: str
    parameters: _Parameters | None = None


class _Request(msgspec.Struct, omit_defaults=True):
    inputs: list[_Tensor]
    id: str = ""
    outputs: list[_Asked] = []
    parameters: _Parameters | None = None


class _Response(msgspec.Struct, omit_defaults=True):
    model_name: str
    outputs: list[_Tensor]
    model_version: str | None = None
    id: str = ""


_REQUEST = msgspec.json.Decoder(_Request)
_RESPONSE = msgspec.json.Decoder(_Response)
_ENCODER = msgspec.json.Encoder()
_NONE = _Parameters()
_BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_HINT = "look at what the edge server is, and which model it serves"


def encode_request(
    rows: NDArray[np.float32],
    *,
    id: str,  # noqa: A002 - the protocol's word
    binary: bool,
    name: str = INPUT,
    output: str = OUTPUT,
) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a request for `rows` (N, F), finite where not `binary`: JSON has no other numbers.

    `name` and `output` are the tensors' names, which the model's metadata tells.
    """
    shape = ",".join(map(str, rows.shape))
    begins = b'{"id":%b,"inputs":[{"name":%b,"datatype":"FP32","shape":[%b],' % (
        _ENCODER.encode(id), _ENCODER.encode(name), shape.encode()
    )  # fmt: skip
    wanted = _ENCODER.encode(output)
    if not binary:
        data = _ENCODER.encode(rows.ravel().tolist())
        return begins + b'"data":%b}],"outputs":[{"name":%b}]}' % (data, wanted), {"content-type": JSON}
    raw = rows.astype("<f4", copy=False).tobytes()
    head = begins + (
        b'"parameters":{"binary_data_size":%d}}],"outputs":[{"name":%b,"parameters":{"binary_data":true}}]}'
        % (len(raw), wanted)
    )
    return head + raw, {"content-type": BINARY, HEADER_LENGTH: str(len(head))}


def decode_request(body: bytes, headers: Mapping[str, str]) -> InferRequest:
    """Return what `body` asks; the names of `headers` are in small letters. Arrays may share the body's memory.

    Raises:
        WireError: 400: it does not follow the protocol, or asks for what this project does not speak.
    """
    head, binary = _split(body, headers)
    try:
        told = _REQUEST.decode(head)
    except _BROKEN as broken:
        raise WireError(400, f"not an inference request: {str(broken)[:200]}") from None
    if not 0 < len(told.inputs) <= MAX_INPUTS or len(told.outputs) > MAX_INPUTS:
        raise WireError(400, f"a request has 1 to {MAX_INPUTS} inputs, and at most so many outputs")
    if len(told.id) > MAX_ID:
        raise WireError(400, f"an id has at most {MAX_ID} characters")
    inputs = _values(told.inputs, binary)
    default = (told.parameters or _NONE).binary_data_output or False
    wanted = []
    for one in told.outputs:
        asked = one.parameters or _NONE
        if asked.classification or asked.shared_memory_region is not None:
            raise WireError(400, f"{one.name[:80]}: neither classification nor shared memory is spoken here")
        wanted.append(Wanted(one.name, default if asked.binary_data is None else asked.binary_data))
    return InferRequest(told.id, inputs, tuple(wanted), default)


def encode_response(
    model: str,
    version: str,
    id: str,  # noqa: A002
    outputs: Sequence[Output],
) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of an answer. What is not finite becomes `null` in JSON; bytes hold it as it is."""
    listed: list[dict[str, Any]] = []
    raw = []
    for one in outputs:
        entry: dict[str, Any] = {"name": one.name, "datatype": one.datatype, "shape": one.values.shape}
        if one.binary:
            raw.append(one.values.astype(one.values.dtype.newbyteorder("<"), copy=False).tobytes())
            entry["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            entry["data"] = one.values.ravel().tolist()
        listed.append(entry)
    told: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": listed}
    if id:
        told["id"] = id
    head = _ENCODER.encode(told)
    if not raw:
        return head, {"content-type": JSON}
    return b"".join((head, *raw)), {"content-type": BINARY, HEADER_LENGTH: str(len(head))}


def decode_response(
    body: bytes,
    headers: Mapping[str, str],
    *,
    id: str,  # noqa: A002
    model: str,
    version: str,
    rows: int,
    labels: int,
    output: str = OUTPUT,
) -> NDArray[np.float32]:
    """Return the values (`rows`, `labels`) of the tensor `output`; whether these are probabilities is for the caller to judge.

    `version` "" takes any, and a server may leave it out. The names of `headers` are in small letters.

    Raises:
        EdgeError: it is no answer of the protocol, or the answer to another question, or of another model, type or shape.
    """
    try:
        head, binary = _split(body, headers)
        told = _RESPONSE.decode(head)
        for name, given, due in (("id", told.id, id), ("model", told.model_name, model)):
            if given != due:
                raise EdgeError(f"the edge's answer has the {name} {given[:80]!r}, not {due!r}", hint=_HINT)
        if version and told.model_version not in (None, "", version):
            raise EdgeError(
                f"the edge runs version {told.model_version[:20]!r} of {model}, not {version}",
                hint=_HINT,
            )
        if not 0 < len(told.outputs) <= MAX_INPUTS:
            raise EdgeError(f"the edge's answer has {len(told.outputs)} tensors", hint=_HINT)
        for one in told.outputs:
            if one.name == output and (one.datatype, one.shape) != ("FP32", [rows, labels]):
                raise EdgeError(
                    f"the edge's {output} is {one.datatype[:20]} {one.shape[:9]}, not FP32 [{rows},{labels}]",
                    hint=_HINT,
                )
        values = _values(told.outputs, binary)
    except _BROKEN as broken:
        raise EdgeError(f"the edge's answer is none: {str(broken)[:200]}", hint=_HINT) from None
    except WireError as broken:
        raise EdgeError(f"the edge's answer: {broken.message}", hint=_HINT) from None
    if output not in values:
        raise EdgeError(f"the edge's answer has no tensor {output!r}", hint=_HINT)
    return values[output].astype(np.float32, copy=False)


def _split(body: bytes, headers: Mapping[str, str]) -> tuple[bytes | memoryview, memoryview]:
    """Return the JSON and the binary data after it."""
    length = headers.get(HEADER_LENGTH)
    if length is None:
        return body, memoryview(b"")
    if not (length.isascii() and length.isdigit() and len(length) < 12 and int(length) <= len(body)):
        raise WireError(400, f"{HEADER_LENGTH} is {length[:20]!r}, and the body has {len(body)} bytes")
    whole = memoryview(body)
    return whole[: int(length)], whole[int(length) :]


def _values(tensors: Sequence[_Tensor], binary: memoryview) -> dict[str, NDArray[Any]]:
    """Return the arrays of `tensors`, whose bytes lie in `binary` in their order."""
    found: dict[str, NDArray[Any]] = {}
    at = 0
    for one in tensors:
        name = one.name[:80]
        if one.name in found:
            raise WireError(400, f"there are two tensors {name!r}")
        size = None if one.parameters is None else one.parameters.binary_data_size
        if size is not None and len(one.data):
            raise WireError(400, f"{name}: its data is both in the JSON and after it")
        if size is not None:
            if not 0 <= size <= len(binary) - at:
                raise WireError(400, f"{name}: {len(binary) - at} bytes are left, not {size}")
            found[one.name] = from_bytes(name, one.datatype, one.shape, binary[at : at + size])
            at += size
        elif len(one.data):
            found[one.name] = from_json(name, one.datatype, one.shape, memoryview(one.data))
        else:
            raise WireError(400, f"{name}: there is no data")
    if at != len(binary):
        raise WireError(400, f"{len(binary) - at} bytes come after the last tensor")
    return found
