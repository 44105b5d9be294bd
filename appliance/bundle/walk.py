"""Owns looking into an ONNX file without running or trusting it: which operators, and nothing that reaches outside.

A walk over protobuf's wire format; the onnx package is not for devices (its parsers had many holes). Never in here: which
operators are allowed.
"""

from collections.abc import Iterator
from typing import NamedTuple

from appliance.errors import ModelError

# Field numbers of onnx.proto3, which are fixed for ever.
MODEL_GRAPH, MODEL_TRAINING, MODEL_FUNCTIONS = 7, 20, 25
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_SPARSE = 1, 5, 15
GRAPH_INPUT, GRAPH_OUTPUT = 11, 12
VALUE_NAME, VALUE_TYPE, TYPE_TENSOR, TENSOR_ELEMENT, TENSOR_SHAPE, DIMENSION = 1, 2, 1, 1, 2, 1
NODE_ATTRIBUTE, NODE_OP, NODE_DOMAIN = 5, 4, 7
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS = 5, 6, 10, 11
TENSOR_EXTERNAL, TENSOR_LOCATION = 13, 14

ML = b"ai.onnx.ml"
"""The domain of ONNX's operators for models that are no nets."""
MAX_NODES = 1000
_HINT = "such a model is not for this device"


def operators(model: bytes) -> set[str]:
    """Return the operators that `model` uses; those of ONNX-ML, which only teachers may use, with their domain before them.

    Raises:
        ModelError: it is no ONNX model, has functions, training, subgraphs, sparse or external data, custom domains, or too many nodes.
    """
    found: set[str] = set()
    graphs = [value for number, value in _fields(model) if number == MODEL_GRAPH]
    if len(graphs) != 1 or not isinstance(graphs[0], bytes):
        raise ModelError("the model holds no graph", hint=_HINT)
    if any(number in (MODEL_FUNCTIONS, MODEL_TRAINING) for number, _ in _fields(model)):
        raise ModelError("the model holds functions or training of its own", hint=_HINT)
    nodes = 0
    for number, value in _fields(graphs[0]):
        if number == GRAPH_NODE:
            nodes += 1
            found.add(_node(_message(value)))
        elif number == GRAPH_INITIALIZER:
            _tensor(_message(value))
        elif number == GRAPH_SPARSE:
            raise ModelError("the model holds sparse data", hint=_HINT)
        if nodes > MAX_NODES:
            raise ModelError(f"the model has more than {MAX_NODES} nodes", hint=_HINT)
    return found


class Tensor(NamedTuple):
    """An input or output of a model: its name, its type of element as ONNX numbers them (1 is float32), and its shape, None where a
    dimension is open.
    """

    name: str
    element: int
    shape: tuple[int | None, ...]


def signature(model: bytes) -> tuple[list[Tensor], list[Tensor]]:
    """Return the inputs and the outputs of `model`. Raises ModelError as `operators`, which says whether to believe the rest of it."""
    (graph,) = [value for number, value in _fields(model) if number == MODEL_GRAPH] or [b""]
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    for number, value in _fields(_message(graph)):
        if number in (GRAPH_INPUT, GRAPH_OUTPUT):
            (inputs if number == GRAPH_INPUT else outputs).append(_described(_message(value)))
    return inputs, outputs


def _described(value: bytes) -> Tensor:
    name, element, shape = "", 0, []
    for number, part in _fields(value):
        if number == VALUE_NAME:
            name = _message(part).decode("utf-8", "replace")
        for kind, tensor in _fields(_message(part)) if number == VALUE_TYPE else ():
            for at, inner in _fields(_message(tensor)) if kind == TYPE_TENSOR else ():
                if at == TENSOR_ELEMENT and isinstance(inner, int):
                    element = inner
                elif at == TENSOR_SHAPE:
                    shape = [
                        dict(_fields(_message(one))).get(DIMENSION) for _, one in _fields(_message(inner))
                    ]
    return Tensor(name, element, tuple(size if isinstance(size, int) else None for size in shape))


def _node(node: bytes) -> str:
    name = domain = ""
    for number, value in _fields(node):
        if number == NODE_OP:
            name = _message(value).decode("utf-8", "replace")
        elif number == NODE_DOMAIN:
            if value not in (b"", b"ai.onnx", ML):
                raise ModelError(f"the model uses the domain {value!r}", hint=_HINT)
            domain = f"{ML.decode()}." if value == ML else ""
        elif number == NODE_ATTRIBUTE:
            for inner, part in _fields(_message(value)):
                if inner in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
                    raise ModelError("the model has a graph within a graph", hint=_HINT)
                if inner in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
                    _tensor(_message(part))
    return domain + name


def _tensor(tensor: bytes) -> None:
    for number, value in _fields(tensor):
        if number == TENSOR_EXTERNAL or (number == TENSOR_LOCATION and value != 0):
            raise ModelError("the model keeps data outside of its file", hint=_HINT)


def _message(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ModelError("the model is no ONNX file", hint=_HINT)
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (field number, value) of one protobuf message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ModelError("the model is no ONNX file", hint=_HINT)
        if size > len(data) - at:
            raise ModelError("the model is cut off", hint=_HINT)
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ModelError("the model is cut off", hint=_HINT)
