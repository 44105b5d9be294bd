"""Owns running a model: onnxruntime, from bytes, one thread, small. Not safe for threads: one loop owns it.

Never in here: whether a bundle is to be believed (bundle), or what follows from a prediction (trust).
"""

from math import isfinite, nan

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from appliance.bundle import Bundle
from appliance.core.features import FeatureSpec
from appliance.core.trust import Trust
from appliance.errors import ModelError

TOLERANCE = 1e-4
"""Between the golden probabilities and this machine's: float32 sums differ by their order."""


class OnnxClassifier:
    """A bundle's model, ready to be asked.

    Raises:
        ModelError: onnxruntime refuses it, it does not fit its card, or it answers its golden rows otherwise.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._card = bundle.card
        self._trust = bundle.card.trust
        self._head = None if bundle.card.refit is None else bundle.card.refit.head
        self.digest = bundle.digest
        self.asked = 0
        """Rows so far."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(bundle.model, options, providers=["CPUExecutionProvider"])
        except Exception as broken:  # noqa: BLE001  onnxruntime's errors have no common class but this
            raise ModelError(
                f"{bundle.card.name}: onnxruntime refuses the model: {str(broken)[:200]}", hint="train anew"
            ) from None
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if (
            len(inputs) != 1
            or len(outputs) != 1
            or (inputs[0].type, outputs[0].type) != ("tensor(float)", "tensor(float)")
            or inputs[0].shape[1:] != [len(self.spec.features)]
            or outputs[0].shape[1:] != [len(self.labels)]
        ):
            raise ModelError(f"{bundle.card.name}: the model does not fit its card", hint="train anew")
        self._input, self._output = inputs[0].name, [outputs[0].name]
        # One reading a wake-up is the ordinary case: its row and its answer have a place of their own, bound once.
        self._row = np.zeros((1, len(self.spec.features)), np.float32)
        self._answer = np.zeros((1, len(self.labels)), np.float32)
        self._bound = self._session.io_binding()
        self._bound.bind_ortvalue_input(self._input, ort.OrtValue.ortvalue_from_numpy(self._row))
        self._bound.bind_ortvalue_output(self._output[0], ort.OrtValue.ortvalue_from_numpy(self._answer))
        try:
            off = float(np.abs(self.predict(bundle.golden_rows) - bundle.golden_probabilities).max())
        except Exception as broken:  # noqa: BLE001  as above; numpy's, where it gives another shape
            raise ModelError(
                f"{bundle.card.name}: the model cannot be run: {str(broken)[:200]}", hint="train anew"
            ) from None
        if not off <= TOLERANCE:
            raise ModelError(
                f"{bundle.card.name}: golden rows are off by {off:g}",
                hint="use the onnxruntime of the lock file",
            )

    @property
    def spec(self) -> FeatureSpec:
        """The features that it takes."""
        return self._card.features

    @property
    def labels(self) -> tuple[str, ...]:
        """The words of its channel, in the order of its probabilities."""
        return self._card.labels

    @property
    def trust(self) -> Trust:
        """When to believe it: what its card says."""
        return self._trust

    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return calibrated probabilities (N, L) for features (N, F); a row with anything not finite gives NaN."""
        said = self.before_head(rows)
        self.asked += len(rows)
        return said if self._head is None else self._head.apply(said).astype(np.float32)

    def before_head(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the model's own bytes say, before a home's head: a refit starts from these."""
        if len(rows) == 1:
            self._row[:] = rows
            self._session.run_with_iobinding(self._bound)
            # No sum of so few float32 leaves what a float holds: it is finite where all of them are.
            return self._answer.copy() if isfinite(sum(rows[0].tolist())) else np.full_like(self._answer, nan)
        said: NDArray[np.float32] = self._session.run(self._output, {self._input: rows})[0]
        broken = ~np.isfinite(rows).all(axis=1)
        if broken.any():
            said = said.copy()
            said[broken] = nan
        return said
