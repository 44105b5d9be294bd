"""Owns writing ONNX: plain operators, float32, the same bytes each time.

Never in here: fitting, or which layers an architecture has.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSETS = {"": 17, "ai.onnx.ml": 3}
"""The versions of the operators, by domain."""
IR_VERSION = 8
FEATURES = "features"
PROBABILITIES = "probabilities"


class Graph:
    """A model that is being written, node by node; names are short, as they count for its size."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._tensors: list[Any] = []
        self._domains = {""}

    def constant(self, values: NDArray[Any]) -> str:
        """Keep `values` in the model: whole numbers as int64, all else as float32; return their name."""
        name = f"c{len(self._tensors)}"
        kept = values.astype(np.int64 if values.dtype.kind in "iu" else np.float32)
        self._tensors.append(numpy_helper.from_array(np.ascontiguousarray(kept), name))
        return name

    def node(
        self,
        operator: str,
        *inputs: str,
        output: str | None = None,
        domain: str = "",
        second: bool = False,
        **attributes: Any,
    ) -> str:
        """Append a node of the operators of `domain`; return the name of its output, or of its second where that is what is wanted."""
        name = output or f"n{len(self._nodes)}"
        names = [f"{name}_unused", name] if second else [name]
        self._nodes.append(
            helper.make_node(operator, list(inputs), names, domain=domain or None, **attributes)
        )
        self._domains.add(domain)
        return name

    def dense(self, before: str, weights: NDArray[np.float64], bias: NDArray[np.float64]) -> str:
        """Append a dense layer: `weights` (inputs, outputs), `bias` (outputs,)."""
        return self.node("Gemm", before, self.constant(weights), self.constant(bias))

    def finished(self, logits: str, features: int, labels: int) -> bytes:
        """Return the model from features (N, F) as they are to probabilities (N, L)."""
        self.node("Softmax", logits, output=PROBABILITIES, axis=1)
        graph = helper.make_graph(
            self._nodes,
            "classifier",
            [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["N", features])],
            [helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["N", labels])],
            self._tensors,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid(domain, OPSETS[domain]) for domain in sorted(self._domains)],
            ir_version=IR_VERSION,
            producer_name="appliance",
        )
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities (N, L) of logits (N, L)."""
    grown = np.exp(logits - logits.max(axis=1, keepdims=True))
    said: NDArray[np.float64] = grown / grown.sum(axis=1, keepdims=True)
    return said
