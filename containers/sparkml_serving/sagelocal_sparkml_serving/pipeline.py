"""A bundle as a function of one row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagelocal_sparkml_serving import bundle, features, models
from sagelocal_sparkml_serving.bundle import BundleError
from sagelocal_sparkml_serving.frame import Row, Step

KNOWN = {**features.STAGES, **models.STAGES}


@dataclass(frozen=True)
class Pipeline:
    """The steps of a bundle, in their order."""

    steps: tuple[Step, ...]

    def run(self, row: dict[str, Any]) -> Row:
        """The row with all columns that the pipeline adds; raises Refused."""
        found = dict(row)
        for step in self.steps:
            step(found)
        return found


def load(model_dir: Path) -> Pipeline:
    """The pipeline in a model folder. Raises BundleError, which names what is not known here."""
    stages = bundle.read(model_dir)
    unknown = sorted({stage.op for stage in stages if stage.op not in KNOWN})
    if unknown:
        raise BundleError(
            f"The bundle has stages that this image does not know: {', '.join(unknown)}. It "
            f"knows: {', '.join(sorted(KNOWN))}. Use these in the pipeline, or serve the rest with "
            "an image of your own behind it."
        )
    return Pipeline(tuple(KNOWN[stage.op](stage) for stage in stages))
