"""The ensemble in MLServer: a runtime of its own, which `benchmarks.serve` names in the settings of the model."""

from __future__ import annotations

from mlserver import MLModel  # pyright: ignore[reportMissingImports] - installed where this runs
from mlserver.codecs import NumpyCodec  # pyright: ignore[reportMissingImports]
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput  # pyright: ignore[reportMissingImports]

from benchmarks.serve_ensemble import artifact, predicted

__all__ = ["EnsembleRuntime"]


class EnsembleRuntime(MLModel):
    """One row of features in, the probabilities by horizon out."""

    async def load(self) -> bool:
        """Load the artifact."""
        self.ensemble = artifact()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request."""
        row = NumpyCodec.decode_input(payload.inputs[0])
        values = list(predicted(self.ensemble, row[0]).values())
        output = ResponseOutput(name="probabilities", shape=[1, len(values)], datatype="FP64", data=values)
        return InferenceResponse(model_name=self.name, outputs=[output])
