"""DeepAR trained, deployed and asked by the SageMaker SDK, as its notebooks do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.containers.deepar.records import json_lines, seasonal

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(900)]

HERE = Path(__file__).parent / "deepar"


def test_series_are_learned_and_forecast_as_in_the_notebooks(place: Any) -> None:
    seen, printed = place.notebook(HERE / "notebook.py")

    assert seen["status"] == "Completed"
    assert "/forecasting-deepar:" in seen["image"]
    assert seen["files"] == [
        "model_algo-1-0000.params",
        "model_algo-1-config.json",
        "model_algo-1-symbol.json",
    ]
    names = {"train:final_loss", "test:RMSE", "test:mean_wQuantileLoss"}
    assert names <= seen["metrics"].keys()
    assert 0 < seen["metrics"]["test:mean_wQuantileLoss"] < 1
    for forecast in seen["answer"]:
        assert sorted(forecast) == ["mean", "quantiles"]
        low, middle, high = (np.array(forecast["quantiles"][q]) for q in ("0.1", "0.5", "0.9"))
        assert len(forecast["mean"]) == len(middle) == 12
        assert (low <= middle).all()
        assert (middle <= high).all()
    assert "has 7 at position 1" in seen["told"]
    assert "#test_score (algo-1, RMSE):" in printed


@pytest.mark.docker
def test_the_image_in_the_sdks_own_local_mode(local_mode: Any, tmp_path: Path) -> None:
    data = tmp_path / "series" / "train.json"
    data.parent.mkdir()
    data.write_text(json_lines(seasonal(5, 80, season=7)))
    last = local_mode(HERE / "local_mode.py", "sagelocal/forecasting-deepar:1", tmp_path, data)

    [forecast] = json.loads(last)
    assert sorted(forecast) == ["mean", "quantiles"]
    assert len(forecast["mean"]) == 3
