"""Owns how MLServer serves an ONNX file: a custom runtime as its manual has it. It runs in MLServer's own environment.

Never in here: anything of this project.
"""

import numpy as np
import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse


class Onnx(MLModel):  # type: ignore[misc]
    """One model, run on MLServer's loop: for small models a hand-over to a thread or a worker process costs more than the run."""

    async def load(self) -> bool:
        """Read the file that the settings name."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(
            self.settings.parameters.uri, options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request, or one batch of these."""
        (told,) = payload.inputs
        if told.datatype != "FP32":
            raise InferenceError(f"{told.name} is FP32, not {told.datatype}")
        rows = NumpyCodec.decode_input(told).astype(np.float32, copy=False)
        said = self._session.run(None, {self._input: rows})[0]
        return InferenceResponse(
            id=payload.id,
            model_name=self.name,
            model_version=self.version,
            outputs=[NumpyCodec.encode_output("probabilities", said)],
        )
