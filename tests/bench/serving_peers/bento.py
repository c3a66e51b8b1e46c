"""BentoML."""

from __future__ import annotations

from typing import Any

import bentoml
import booster


@bentoml.service(workers=booster.WORKERS)
class Iris:
    def __init__(self) -> None:
        self.model = booster.load()

    @bentoml.api(route="/invocations")
    def predict(self, instances: list[list[float]]) -> list[list[float]]:
        found: Any = booster.predict(self.model, instances).tolist()
        return list(found)
