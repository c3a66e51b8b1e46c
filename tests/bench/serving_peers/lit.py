"""LitServe."""

from __future__ import annotations

from typing import Any

import booster
import litserve


class Iris(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = booster.load()

    # LitServe makes the route from this signature; an annotation would be a schema.
    def decode_request(self, request, **kwargs):
        return request["instances"]

    def predict(self, rows: Any, **kwargs: Any) -> Any:
        return booster.predict(self.model, rows)

    def encode_response(self, output: Any, **kwargs: Any) -> dict[str, Any]:
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(
        Iris(), accelerator="cpu", workers_per_device=booster.WORKERS, healthcheck_path="/ping"
    )
    server.run(
        host="127.0.0.1",
        port=booster.PORT,
        num_api_servers=booster.WORKERS,
        generate_client_file=False,
        log_level="error",
    )
