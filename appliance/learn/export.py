"""Owns turning a fitted model into ONNX: scaling and temperature folded in, plain operators, the same bytes each time.

Never in here: fitting.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8


class Layer(msgspec.Struct, frozen=True):
    """One dense layer: `weights` (inputs, outputs) and `bias` (outputs,); a ReLU stands between layers."""

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]


def to_onnx(
    mean: NDArray[np.float64], scale: NDArray[np.float64], layers: Sequence[Layer], temperature: float
) -> bytes:
    """Return a model that takes features (N, F) as they are, and gives calibrated probabilities (N, L)."""
    nodes, initializers = [], []
    before = "features"
    for number, layer in enumerate(folded(mean, scale, layers, temperature)):
        for suffix, values in (("w", layer.weights), ("b", layer.bias)):
            initializers.append(numpy_helper.from_array(values.astype(np.float32), f"{suffix}{number}"))
        nodes.append(helper.make_node("Gemm", [before, f"w{number}", f"b{number}"], [f"z{number}"]))
        before = f"z{number}"
        if number < len(layers) - 1:
            nodes.append(helper.make_node("Relu", [before], [f"a{number}"]))
            before = f"a{number}"
    nodes.append(helper.make_node("Softmax", [before], ["probabilities"], axis=1))
    inputs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", layers[0].weights.shape[0]])]
    outputs = [
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", layers[-1].weights.shape[1]])
    ]
    graph = helper.make_graph(nodes, "classifier", inputs, outputs, initializers)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="appliance",
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def folded(
    mean: NDArray[np.float64], scale: NDArray[np.float64], layers: Sequence[Layer], temperature: float
) -> list[Layer]:
    """Return the layers with the scaling in the first and the temperature in the last: nothing is left to compute beside them."""
    first = Layer(layers[0].weights / scale[:, None], layers[0].bias - (mean / scale) @ layers[0].weights)
    whole = [first, *layers[1:]]
    return [*whole[:-1], Layer(whole[-1].weights / temperature, whole[-1].bias / temperature)]


def predict(
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    layers: Sequence[Layer],
    temperature: float,
    rows: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return what the exported model gives for `rows` (N, F), computed apart from it: the golden rows are checked by this."""
    values = rows.astype(np.float64)
    dense = folded(mean, scale, layers, temperature)
    for number, layer in enumerate(dense):
        values = values @ layer.weights + layer.bias
        if number < len(dense) - 1:
            values = np.maximum(values, 0.0)
    grown = np.exp(values - values.max(axis=1, keepdims=True))
    said: NDArray[np.float32] = (grown / grown.sum(axis=1, keepdims=True)).astype(np.float32)
    return said
