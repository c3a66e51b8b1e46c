"""Scripts that import the original image's modules, as its notebooks do: training and serving."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray
from sagelocal_serve import Settings, UnsupportedMediaType
from sagelocal_xgboost import artifact
from sagelocal_xgboost.serving import Options, XGBoostHandler
from sagemaker_inference.errors import UnsupportedFormatError
from sagemaker_xgboost_container import checkpointing, data_utils, encoder

from tests.containers.conftest import Job

Features = NDArray[np.float32]

LIBSVM = "1:2 0:0.5 1:2\n0:1 1:-1\n1:0.5 0:3\n"

# The pattern of the notebooks on training with several hosts.
DISTRIBUTED = """
import argparse, json, os, pickle
import xgboost as xgb
from sagemaker_containers import entry_point
from sagemaker_xgboost_container import distributed
from sagemaker_xgboost_container.data_utils import get_dmatrix

def fit(params, dtrain, evals, num_boost_round, model_dir, is_master):
    booster = xgb.train(params, dtrain, evals=evals, num_boost_round=num_boost_round)
    if is_master:
        with open(model_dir + "/xgboost-model", "wb") as file:
            pickle.dump(booster, file)

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--num_round", type=int)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--validation", default=os.environ.get("SM_CHANNEL_VALIDATION"))
    args, _ = parser.parse_known_args()
    hosts, host = json.loads(os.environ["SM_HOSTS"]), os.environ["SM_CURRENT_HOST"]
    dtrain, dval = get_dmatrix(args.train, "csv"), get_dmatrix(args.validation, "csv")
    given = dict(
        params={"objective": "reg:squarederror", "nthread": 1}, dtrain=dtrain,
        evals=[(dtrain, "train"), (dval, "validation")] if dval is not None else [],
        num_boost_round=args.num_round, model_dir=os.environ["SM_MODEL_DIR"])
    if len(hosts) > 1:
        from sagelocal_xgboost import hosts as ports
        ports.PORT = args.port
        entry_point._wait_hostname_resolution()
        distributed.rabit_run(
            exec_fun=fit, args=given, include_in_training=dtrain is not None, hosts=hosts,
            current_host=host, update_rabit_args=True)
    else:
        fit(**given, is_master=True)
"""


def _csv(features: Features) -> str:
    rows = np.column_stack([np.nan_to_num(features[:, 0]), np.nan_to_num(features)])
    return "".join(",".join(map(repr, row)) + "\n" for row in rows.tolist())


def _script(job: Job, source: str) -> Job:
    (job.base / "code").mkdir(parents=True)
    (job.base / "code" / "train.py").write_text(source)
    return job


def test_a_script_trains_on_channels_that_get_dmatrix_reads(job: Job, features: Features) -> None:
    _script(job, DISTRIBUTED).channel("train", {"deep/er/a.csv": _csv(features)})
    job.channel("validation", {"b.csv": _csv(features[:9])})

    ended = job.run(sagemaker_program="train.py", num_round=3)

    assert ended.exit_code == 0, ended.log
    assert "[2]\ttrain-rmse:" in ended.log
    model = pickle.loads((ended.model_dir / "xgboost-model").read_bytes())
    assert (model.num_boosted_rounds(), model.num_features()) == (3, features.shape[1])


@pytest.mark.slow
def test_hosts_train_one_model_in_a_script(
    tmp_path: Path, family: Path, features: Features, free_ports: Callable[[], int]
) -> None:
    names, port = ["127.0.0.1", "127.0.0.2", "127.0.0.3"], free_ports()
    parts = [_csv(features[:40]), "", _csv(features[40:])]
    started = []
    for name, part in zip(names, parts, strict=True):
        job = _script(Job(tmp_path / name, family), DISTRIBUTED)
        (job.base / "model").mkdir()
        job.channel("train", {"a.csv": part} if part else {})
        resources = {"current_host": name, "hosts": names}
        (job.base / "input/config/resourceconfig.json").write_text(json.dumps(resources))
        started.append((job.base, job.start(sagemaker_program="train.py", num_round=3, port=port)))
    logs = [process.communicate(timeout=240)[0] for _, process in started]

    assert [process.returncode for _, process in started] == [0, 0, 0], "\n".join(logs)
    saved = [(base / "model" / "xgboost-model").exists() for base, _ in started]
    assert saved == [True, False, False]
    assert "not being used for distributed training" in logs[1]


def test_a_file_a_folder_and_nothing_are_read(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "a.libsvm").write_text(LIBSVM)
    of_file = data_utils.get_dmatrix(str(tmp_path / "rows" / "a.libsvm"), "libsvm")
    of_folder = data_utils.get_dmatrix(tmp_path / "rows", "text/x-libsvm")
    assert of_file is not None
    assert of_folder is not None
    assert of_file.get_label().tolist() == of_folder.get_label().tolist() == [1, 0, 1]
    assert of_file.get_weight().tolist() == [2, 1, 0.5]
    assert of_file.num_col() == 2
    assert data_utils.get_dmatrix(None, "csv") is None
    assert data_utils.get_dmatrix(tmp_path / "nothing", "csv") is None


def test_csv_weights_are_the_second_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,0.5,7,8\n0,2,9,\n")
    found = data_utils.get_dmatrix(tmp_path / "a.csv", "csv", csv_weights=1)
    assert found is not None
    assert found.get_weight().tolist() == [0.5, 2]
    assert (found.num_row(), found.num_col(), found.num_nonmissing()) == (2, 2, 3)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (None, "libsvm"),
        ("text/csv; label_size=1; charset=utf-8", "csv"),
        ("text/x-libsvm", "libsvm"),
        ("application/x-parquet", "parquet"),
        ("recordio-protobuf", "recordio-protobuf"),
    ],
)
def test_content_types_have_short_names(given: str | None, kind: str) -> None:
    assert data_utils.get_content_type(given) == kind


def test_a_content_type_that_is_none_is_named() -> None:
    with pytest.raises(Exception, match="incorrect_format is not an accepted ContentType"):
        data_utils.get_content_type("incorrect_format")


@pytest.mark.parametrize(
    ("body", "content_type", "shape"),
    [
        ("42,6,9", "text/csv; charset=UTF-8", (1, 3)),
        (b"42.0;6.0;\n1;2;3", "text/csv", (2, 3)),
        (b"0 0:1 5:1", "text/libsvm", (1, 6)),
        ("0:1 5:1", "text/x-libsvm", (1, 6)),
    ],
)
def test_a_request_becomes_a_dmatrix(body: Any, content_type: str, shape: tuple[int, int]) -> None:
    found = encoder.decode(body, content_type)
    assert (found.num_row(), found.num_col()) == shape


@pytest.mark.parametrize("body", ["1,2,3,12:12:12", "1,2,3,2019-1-1", "1,2,3\n1,2,c"])
def test_csv_that_is_no_numbers_is_refused(body: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        encoder.csv_to_dmatrix(body)


def test_another_type_is_an_unsupported_format() -> None:
    with pytest.raises(UnsupportedFormatError, match="application/json"):
        encoder.decode("[1]", "application/json")


def test_json_becomes_json_lines() -> None:
    lines = b'{"label": 1, "p": [0.4, 0.6]}\n{"label": 0}\n'
    document = {"predictions": [{"label": 1, "p": [0.4, 0.6]}, {"label": 0}]}
    assert encoder.json_to_jsonlines(document) == lines
    assert encoder.json_to_jsonlines(json.dumps(document)) == lines
    with pytest.raises(ValueError, match="not compatible"):
        encoder.json_to_jsonlines({"predictions": [], "metadata": []})


def test_a_script_answers_with_contributions_of_what_the_encoder_reads(
    train: Any, tmp_path: Path, request_of: Any
) -> None:
    artifact.save(train("reg:squarederror"), tmp_path / "xgboost-model")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(
        "import json\n"
        "import sagemaker_xgboost_container.encoder as xgb_encoders\n"
        "def transform_fn(model, body, content_type, accept):\n"
        "    rows = xgb_encoders.libsvm_to_dmatrix(body)\n"
        "    return json.dumps(model.predict(rows, pred_contribs=True).tolist())\n"
    )
    handler = XGBoostHandler(Settings(base_dir=tmp_path), Options())
    handler.prepare(tmp_path)
    handler.load(tmp_path)
    answer = handler.handle(request_of("10 0:2 1:0.6 2:0.5 3:0.1 4:1.2", "text/libsvm"))
    assert isinstance(answer.body, bytes)
    ((*contributions, bias),) = json.loads(answer.body)
    assert len(contributions) == 5
    assert bias != 0


def test_a_script_goes_on_after_its_last_checkpoint(tmp_path: Path, features: Features) -> None:
    folder = tmp_path / "checkpoints"
    labels = np.nan_to_num(features[:, 0])
    given = {
        "params": {"objective": "reg:squarederror", "nthread": 1},
        "dtrain": xgboost.DMatrix(features, labels),
        "num_boost_round": 4,
    }
    assert checkpointing.load_checkpoint(str(folder)) == (None, 0)
    assert checkpointing.load_checkpoint(None) == (None, 0)

    checkpointing.train(given, str(folder))
    previous, rounds = checkpointing.load_checkpoint(str(folder))
    resumed = checkpointing.train({**given, "num_boost_round": 7}, str(folder))

    assert (Path(str(previous)).name, rounds) == ("xgboost-checkpoint.3", 4)
    assert resumed.num_boosted_rounds() == 7
    at_once = xgboost.train(**{**given, "num_boost_round": 7})
    rows = xgboost.DMatrix(features)
    np.testing.assert_allclose(resumed.predict(rows), at_once.predict(rows), rtol=1e-5)
    kept = {path.name for path in folder.iterdir()}
    assert kept == {f"xgboost-checkpoint.{number}" for number in range(2, 7)}


def test_the_callback_keeps_as_many_as_it_is_told(tmp_path: Path, features: Features) -> None:
    data = xgboost.DMatrix(features, np.nan_to_num(features[:, 0]))
    callback = checkpointing.save_checkpoint(str(tmp_path), start_iteration=10, max_to_keep=2)
    xgboost.train({"nthread": 1}, data, 4, callbacks=[callback])
    assert {path.name for path in tmp_path.iterdir()} == {
        "xgboost-checkpoint.12",
        "xgboost-checkpoint.13",
    }
