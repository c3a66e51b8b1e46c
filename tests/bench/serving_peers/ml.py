"""MLServer: its own runtime for XGBoost builds a DMatrix, so this one is a little quicker."""

from __future__ import annotations

import booster
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Iris(MLModel):
    async def load(self) -> bool:
        self.model = booster.load()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0])
        found = booster.predict(self.model, rows)
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("predictions", found)]
        )
