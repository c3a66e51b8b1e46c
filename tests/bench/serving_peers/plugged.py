"""inference-server, with its four functions as a plugin."""

from __future__ import annotations

from typing import Any

import booster
import inference_server
from inference_server import _plugin as plugins


class Plugin:
    @inference_server.plugin_hook
    def model_fn(self, model_dir: str) -> Any:
        return booster.load()

    @inference_server.plugin_hook
    def input_fn(self, input_data: bytes, content_type: str) -> Any:
        return booster.from_csv(input_data)

    @inference_server.plugin_hook
    def predict_fn(self, data: Any, model: Any) -> Any:
        return booster.predict(model, data)

    @inference_server.plugin_hook
    def output_fn(self, prediction: Any, accept: Any) -> tuple[bytes, str]:
        return booster.to_csv(prediction), "text/csv"


plugins.manager().register(Plugin())
inference_server.warmup()
app = inference_server.create_app()
