"""Owns a model that is ready to be asked: onnxruntime over bytes that were read once, what it takes and gives, and how long it takes.

Safe for threads. Never in here: where models lie (shelf), or who is asked together (batching).
"""

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from appliance.adapters.edge.metadata import ModelMetadata, TensorMetadata
from appliance.adapters.edge.tensors import DTYPES, WireError
from appliance.bundle import TEACHER_OPERATORS, Bundle, Head, load_bundle
from appliance.bundle.walk import operators
from appliance.errors import ModelError

TOLERANCE = 1e-4
"""Between a bundle's golden probabilities and this machine's: float32 sums differ by their order."""
MAX_PLAIN = 64 << 20
"""Bytes of a model without a card."""
PLATFORM = "onnxruntime_onnx"
_DATATYPES = {
    "tensor(float)": "FP32", "tensor(double)": "FP64", "tensor(float16)": "FP16", "tensor(bool)": "BOOL",
    "tensor(int8)": "INT8", "tensor(int16)": "INT16", "tensor(int32)": "INT32", "tensor(int64)": "INT64",
    "tensor(uint8)": "UINT8", "tensor(uint16)": "UINT16", "tensor(uint32)": "UINT32", "tensor(uint64)": "UINT64",
}  # fmt: skip

logger = logging.getLogger(__name__)

Arrays = dict[str, NDArray[Any]]


class Served:
    """One version of one model. `digest` identifies its bytes; `batched`: rows of several requests may go through it together, which only
    a bundle promises; `batch_s`: how long a full batch took, when it was loaded.
    """

    def __init__(
        self, name: str, version: str, model: bytes, digest: str, *, head: Head | None = None, source: str
    ) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as broken:  # noqa: BLE001  onnxruntime's errors have no common class but this
            raise ModelError(
                f"{name}: onnxruntime refuses the model: {str(broken)[:200]}", hint="export it anew"
            ) from None
        self.name, self.version, self.digest = name, version, digest
        self._head = head
        self.metadata = ModelMetadata(
            name, PLATFORM, _told(name, self._session.get_inputs()), _told(name, self._session.get_outputs()),
            (version,), {"source": source, "sha256": digest},
        )  # fmt: skip
        self.outputs = tuple(one.name for one in self.metadata.outputs)
        self.datatypes = {one.name: one.datatype for one in self.metadata.outputs}
        self._inputs = {one.name: one for one in self.metadata.inputs}
        self.batched = False
        self.batch_s = float("inf")
        self._single: _Single | None = None

    def check(self, inputs: Mapping[str, NDArray[Any]], wanted: Sequence[str]) -> None:
        """Raise WireError (400) where these are not the model's inputs and outputs: names, types or shapes."""
        if inputs.keys() != self._inputs.keys():
            raise WireError(400, f"{self.name} takes {_names(self._inputs)}, not {_names(inputs)}")
        for name, values in inputs.items():
            due = self._inputs[name]
            # A type is its kind and size: what came as bytes is little-endian, as every machine is that onnxruntime has a wheel for.
            if values.dtype != DTYPES[due.datatype]:
                raise WireError(400, f"{name}: the model takes {due.datatype}, not {values.dtype}")
            if len(values.shape) != len(due.shape) or any(
                size not in (asked, -1) for size, asked in zip(due.shape, values.shape, strict=True)
            ):
                raise WireError(
                    400, f"{name}: the model takes {list(due.shape)}, the request has {list(values.shape)}"
                )
            if not values.size:
                raise WireError(400, f"{name}: there are no values")
        for name in wanted:
            if name not in self.datatypes:
                raise WireError(400, f"{self.name} gives {_names(self.datatypes)}, not {name[:80]!r}")

    def run(self, inputs: Arrays) -> Arrays:
        """Return all outputs for inputs that were checked. Raises WireError (400): the model cannot be run on these values."""
        try:
            single = self._single
            if single is not None and len(next(iter(inputs.values()))) == 1:
                said = [single.run(next(iter(inputs.values())))]
            else:
                said = self._session.run(None, inputs)
        except Exception as broken:  # noqa: BLE001  as above
            raise WireError(400, f"{self.name} cannot be run on this: {str(broken)[:200]}") from None
        if self._head is not None:
            said = [self._head.apply(said[0]).astype(np.float32)]
        return dict(zip(self.outputs, said, strict=True))

    def measure(self, rows: NDArray[np.float32]) -> None:
        """Let requests share a batch from now on, and look how long one of `rows` (N, F) takes: the least of three."""
        (name,) = self._inputs
        took = []
        for _ in range(3):
            began = time.perf_counter()
            self.run({name: rows})
            took.append(time.perf_counter() - began)
        self.batch_s, self.batched = min(took), True
        self._single = _Single(
            self._session, name, rows.shape[1], self.outputs[0], self.metadata.outputs[0].shape[1]
        )


class _Single:
    """One row and its answer, in places of their own that were bound once: a few microseconds less than finding them anew."""

    def __init__(
        self, session: ort.InferenceSession, name: str, features: int, output: str, labels: int
    ) -> None:
        self._session = session
        self._row, self._answer = np.zeros((1, features), np.float32), np.zeros((1, labels), np.float32)
        self._bound = session.io_binding()
        self._bound.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(self._row))
        self._bound.bind_ortvalue_output(output, ort.OrtValue.ortvalue_from_numpy(self._answer))
        self._free = Lock()

    def run(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the answer (1, L) to `row` (1, F)."""
        with self._free:
            self._row[:] = row
            self._session.run_with_iobinding(self._bound)
            return self._answer.copy()


def served_bundle(folder: Path, name: str, version: str | None, max_batch: int) -> Served:
    """Return the bundle in `folder` as the model `name`, in `version` where the folder's own name says one.

    Raises:
        ModelError: it is broken, of another name or version, or answers its golden rows otherwise than it should.
    """
    bundle = load_bundle(folder, allowed=TEACHER_OPERATORS)
    card = bundle.card
    if card.name != name or (version is not None and str(card.version) != version):
        raise ModelError(
            f"{folder} holds {card.name} in version {card.version}",
            hint="name the folder as its card says: clients compare the names",
        )
    head = None if card.refit is None else card.refit.head
    served = Served(name, str(card.version), bundle.model, bundle.digest, head=head, source="bundle")
    _judge(served, bundle)
    rows = np.resize(bundle.golden_rows, (max(1, max_batch), bundle.golden_rows.shape[1]))
    served.measure(rows)
    return served


def served_plain(file: Path, name: str, version: str) -> Served:
    """Return a model without a card. Raises ModelError: it is missing, linked, too large, or not a plain ONNX model."""
    try:
        if not file.is_file() or file.is_symlink():
            raise ModelError(f"{file}: not a plain file", hint="copy the file itself")
        with file.open("rb") as opened:
            model = opened.read(MAX_PLAIN + 1)
    except OSError as broken:
        raise ModelError(
            f"{file}: {broken.strerror or broken}", hint="look at the folder's permissions"
        ) from None
    if len(model) > MAX_PLAIN:
        raise ModelError(f"{file}: larger than {MAX_PLAIN >> 20} MiB", hint="serve it with a bigger server")
    operators(model)  # refuses what reaches out of the file: external data, functions, graphs within graphs
    return Served(name, version, model, hashlib.sha256(model).hexdigest(), source="a model without a card")


def _judge(served: Served, bundle: Bundle) -> None:
    inputs, outputs = served.metadata.inputs, served.metadata.outputs
    features, labels = bundle.golden_rows.shape[1], bundle.golden_probabilities.shape[1]
    if [(one.datatype, one.shape) for one in inputs] != [("FP32", (-1, features))] or [
        (one.datatype, one.shape) for one in outputs
    ] != [("FP32", (-1, labels))]:
        raise ModelError(f"{served.name}: the model does not fit its card", hint="train anew")
    try:
        said = served.run({inputs[0].name: bundle.golden_rows})[outputs[0].name]
        off = float(np.abs(said - bundle.golden_probabilities).max())
    except (WireError, ValueError) as broken:
        raise ModelError(f"{served.name}: the model cannot be run: {broken}", hint="train anew") from None
    if not off <= TOLERANCE:
        raise ModelError(
            f"{served.name}: golden rows are off by {off:g}", hint="use the onnxruntime of the lock file"
        )


def _told(name: str, tensors: Sequence[Any]) -> tuple[TensorMetadata, ...]:
    found = []
    for one in tensors:
        if one.type not in _DATATYPES:
            raise ModelError(
                f"{name}: {one.name} is a {one.type}", hint="only tensors of numbers are served: export it so"
            )
        shape = tuple(size if isinstance(size, int) else -1 for size in one.shape)
        found.append(TensorMetadata(one.name, _DATATYPES[one.type], shape))
    return tuple(found)


def _names(tensors: Mapping[str, object]) -> str:
    return ", ".join(repr(name[:80]) for name in sorted(tensors)[:16])
