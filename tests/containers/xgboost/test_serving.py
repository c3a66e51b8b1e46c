"""Answers of the built-in algorithm: formats, statuses, ensembles, selected fields, the server."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray
from sagelocal_formats.record_protobuf import read_records
from sagelocal_serve import Settings
from sagelocal_serve.errors import ModelError, NotAcceptable
from sagelocal_serve.interface import Request, Response
from sagelocal_xgboost import artifact, selectable
from sagelocal_xgboost.predictor import Predictor
from sagelocal_xgboost.serving import AlgorithmHandler, Options, XGBoostHandler

REGISTRY = "683313688378.dkr.ecr.us-east-1.amazonaws.com"

Train = Callable[..., xgboost.Booster]
Host = Callable[..., AlgorithmHandler]
RequestOf = Callable[..., Request]
CsvOf = Callable[[NDArray[Any]], str]
Features = NDArray[np.float32]


def _text(response: Response) -> str:
    assert isinstance(response.body, bytes)
    return response.body.decode()


def _recordio(response: Response, field: str) -> list[list[float]]:
    """The numbers of a field, for each record of the answer."""
    assert isinstance(response.body, bytes)
    fields: list[Any] = [record.label[field] for record in read_records(response.body)]
    return [values.values.tolist() for values in fields]


def _expected(booster: xgboost.Booster, features: Features) -> list[Any]:
    found: list[Any] = booster.predict(xgboost.DMatrix(features)).tolist()
    return found


@pytest.mark.parametrize("count", [1, 3])
def test_csv_has_one_prediction_a_line(
    train: Train, host: Host, request_of: RequestOf, csv_of: CsvOf, features: Features, count: int
) -> None:
    booster = train("binary:logistic")
    answer = host(booster).handle(request_of(csv_of(features[:count])))
    assert _text(answer) == "".join(f"{v!r}\n" for v in _expected(booster, features[:count]))
    assert str(answer.content_type) == "text/csv"


@pytest.mark.parametrize("count", [1, 2])
def test_csv_has_the_classes_of_softprob_side_by_side(
    train: Train, host: Host, request_of: RequestOf, csv_of: CsvOf, features: Features, count: int
) -> None:
    booster = train("multi:softprob")
    answer = host(booster).handle(request_of(csv_of(features[:count])))
    lines = [",".join(map(repr, row)) for row in _expected(booster, features[:count])]
    assert _text(answer) == "\n".join(lines) + "\n"


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softprob"])
def test_csv_of_an_old_version_is_one_line(
    train: Train,
    host: Host,
    request_of: RequestOf,
    csv_of: CsvOf,
    features: Features,
    objective: str,
    count: int,
) -> None:
    booster = train(objective)
    handler = host(booster, on_one_line=True)
    answer = handler.handle(request_of(csv_of(features[:count])))
    predictions = _expected(booster, features[:count])
    assert _text(answer) == ",".join(str(prediction) for prediction in predictions)
    answer = handler.handle(request_of(csv_of(features[:count]), accept="application/json"))
    assert json.loads(_text(answer)) == {"predictions": [{"score": p} for p in predictions]}


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("objective", ["reg:squarederror", "multi:softprob"])
def test_json_has_scores(
    train: Train,
    host: Host,
    request_of: RequestOf,
    csv_of: CsvOf,
    features: Features,
    objective: str,
    count: int,
) -> None:
    booster = train(objective)
    request = request_of(csv_of(features[:count]), accept="application/json")
    answer = host(booster).handle(request)
    scores = [{"score": score} for score in _expected(booster, features[:count])]
    assert json.loads(_text(answer)) == {"predictions": scores}


def test_json_lines_and_recordio_have_the_same_scores(
    train: Train, host: Host, request_of: RequestOf, csv_of: CsvOf, features: Features
) -> None:
    booster = train("reg:squarederror")
    handler, body = host(booster), csv_of(features[:3])
    lines = _text(handler.handle(request_of(body, accept="application/jsonlines"))).splitlines()
    scores = _expected(booster, features[:3])
    assert [json.loads(line) for line in lines] == [{"score": score} for score in scores]

    answer = handler.handle(request_of(body, accept="application/x-recordio-protobuf"))
    assert _recordio(answer, "score") == [[score] for score in scores]


def test_an_accept_that_cannot_be_written_is_406_after_the_body_was_read(
    train: Train, host: Host, request_of: RequestOf
) -> None:
    handler = host(train("reg:squarederror"))
    with pytest.raises(NotAcceptable, match="text/csv, application/json"):
        handler.handle(request_of("1,2,3,4,5", accept="image/png"))


def test_an_empty_body_is_204(train: Train, host: Host, request_of: RequestOf) -> None:
    answer = host(train("reg:squarederror")).handle(request_of(""))
    assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize("accept", [None, "application/json", "text/csv"])
def test_batch_transform_gets_text_lines_whatever_it_accepts(
    train: Train,
    host: Host,
    request_of: RequestOf,
    csv_of: CsvOf,
    features: Features,
    accept: str | None,
) -> None:
    booster = train("multi:softprob")
    request = request_of(csv_of(features[:2]), accept=accept)
    answer = host(booster, batch=True).handle(request)
    assert _text(answer) == "".join(f"{row}\n" for row in _expected(booster, features[:2]))
    assert str(answer.content_type) == "text/csv"


def test_an_ensemble_answers_with_the_mean_of_its_models(
    train: Train, host: Host, request_of: RequestOf, csv_of: CsvOf, features: Features
) -> None:
    models = [train("reg:squarederror", rounds) for rounds in (1, 4, 9)]
    answer = host(*models).handle(request_of(csv_of(features)))
    expected = np.mean([_expected(model, features) for model in models], axis=0)
    found = [float(line) for line in _text(answer).splitlines()]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_an_ensemble_of_labels_votes(
    train: Train, host: Host, request_of: RequestOf, csv_of: CsvOf, features: Features
) -> None:
    models = [train("multi:softmax", rounds, subsample=0.3, seed=rounds) for rounds in (1, 2, 3)]
    answer = host(*models).handle(request_of(csv_of(features)))
    votes = np.array([_expected(model, features) for model in models])
    expected = [np.bincount(column.astype(int)).argmax() for column in votes.T]
    assert [float(line) for line in _text(answer).splitlines()] == expected
    assert len({tuple(row) for row in votes.tolist()}) > 1


def test_without_ensembles_the_first_model_answers(
    train: Train, host: Host, request_of: RequestOf, csv_of: CsvOf, features: Features
) -> None:
    first, second = train("reg:squarederror", 2), train("reg:squarederror", 9)
    answer = host(first, second, ensemble=False).handle(request_of(csv_of(features[:1])))
    assert _text(answer) == f"{_expected(first, features[:1])[0]!r}\n"


def test_models_that_differ_are_no_ensemble(train: Train, host: Host) -> None:
    with pytest.raises(ModelError, match="SAGEMAKER_INFERENCE_ENSEMBLE=false"):
        host(train("reg:squarederror"), train("multi:softprob"))


def test_a_folder_without_a_model_is_said_in_the_originals_words(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Unable to load model: the model folder holds nothing"):
        AlgorithmHandler(Options()).load(tmp_path)


ALL_KEYS = ("predicted_label", "labels", "probability", "probabilities", "raw_score", "raw_scores")


def test_selected_fields_of_a_binary_classifier(
    train: Train, host: Host, request_of: RequestOf, csv_of: CsvOf, features: Features
) -> None:
    booster = train("binary:logistic")
    handler = host(booster, keys=ALL_KEYS)
    request = request_of(csv_of(features[:4]), accept="application/json")
    for raw, record in zip(
        _expected(booster, features[:4]),
        json.loads(_text(handler.handle(request)))["predictions"],
        strict=True,
    ):
        assert record == {
            "predicted_label": int(raw > 0.5),
            "labels": [0, 1],
            "probability": raw,
            "probabilities": [1 - raw, raw],
            "raw_score": raw,
            "raw_scores": [1 - raw, raw],
        }


def test_selected_fields_as_csv_and_json_lines(
    train: Train, host: Host, request_of: RequestOf, csv_of: CsvOf, features: Features
) -> None:
    booster = train("multi:softprob")
    handler = host(booster, keys=("predicted_label", "probabilities"))
    raw = _expected(booster, features[:1])[0]
    label = int(np.argmax(raw))
    body = csv_of(features[:1])
    assert _text(handler.handle(request_of(body))) == f'{label},"{raw}"\n'
    lines = _text(handler.handle(request_of(body, accept="application/jsonlines")))
    assert json.loads(lines) == {"predicted_label": label, "probabilities": raw}


def test_selected_fields_as_recordio(
    train: Train, host: Host, request_of: RequestOf, csv_of: CsvOf, features: Features
) -> None:
    booster = train("multi:softprob")
    handler = host(booster, keys=("predicted_label", "probabilities"))
    answer = handler.handle(
        request_of(csv_of(features[:3]), accept="application/x-recordio-protobuf")
    )
    expected = _expected(booster, features[:3])
    assert _recordio(answer, "probabilities") == expected
    assert _recordio(answer, "predicted_label") == [[np.argmax(row)] for row in expected]


@pytest.mark.parametrize(
    ("objective", "raw", "expected"),
    [
        ("reg:gamma", -7.0, {"predicted_score": -7.0, "predicted_label": math.nan}),
        ("binary:logitraw", -0.5, {"predicted_label": 0, "probability": math.nan}),
        ("binary:logitraw", 0.5, {"predicted_label": 1, "raw_scores": [0.5, 0.5]}),
        ("binary:hinge", 1.0, {"predicted_label": 1.0, "labels": [0, 1]}),
        ("multi:softmax", 2.0, {"predicted_label": 2.0, "labels": [0, 1, 2]}),
    ],
)
def test_what_an_objective_does_not_give_is_nan(
    objective: str, raw: float, expected: dict[str, Any]
) -> None:
    (record,) = selectable.select(np.array([raw]), tuple(expected), objective, 3)
    np.testing.assert_equal(record, expected)


def test_an_objective_without_fields_is_an_error() -> None:
    with pytest.raises(ModelError, match="'rank:pairwise' does not support selectable inference"):
        selectable.select(np.zeros(1), ("raw_score",), "rank:pairwise", 0)


@pytest.mark.parametrize("text", ["score", "labels;raw_score", ","])
def test_an_unknown_field_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match=r"SAGEMAKER_INFERENCE_OUTPUT=.*predicted_label, labels"):
        Options.read(Settings(), {"SAGEMAKER_INFERENCE_OUTPUT": text})


def test_options_come_from_the_environment() -> None:
    settings = Settings(batch=True, workers=3)
    variables = {
        "SAGEMAKER_INFERENCE_OUTPUT": "Labels, raw_score",
        "SAGEMAKER_INFERENCE_ENSEMBLE": "False",
    }
    found = Options.read(settings, variables)
    assert found == Options(batch=True, ensemble=False, keys=("labels", "raw_score"), workers=3)


def test_the_version_that_was_asked_for_decides_on_the_form_of_csv() -> None:
    old = {"SAGELOCAL_IMAGE": f"{REGISTRY}/sagemaker-xgboost:1.0-1"}
    new = {"SAGELOCAL_IMAGE": f"{REGISTRY}/sagemaker-xgboost:1.7-1"}
    assert Options.read(Settings(), old).on_one_line
    assert not Options.read(Settings(), new).on_one_line
    assert not Options.read(Settings(), {}).on_one_line


def test_a_server_of_two_workers_answers_with_the_statuses_of_the_original(
    train: Train, serve: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_MODEL_SERVER_WORKERS", "2")
    booster = train("reg:squarederror")
    artifact.save(booster, tmp_path / "model" / "xgboost-model")
    server = serve(tmp_path)

    parameters = server.request("GET", "/execution-parameters").json
    assert parameters == {
        "MaxConcurrentTransforms": 2,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 6,
    }
    expected = f"{Predictor(booster).row(array('f', [1, 2, 3, 4, 5]))[0]!r}\n".encode()
    answers = {server.invoke("1,2,3,4,5", "text/csv; charset=utf-8").body for _ in range(8)}
    assert answers == {expected}
    assert server.request("POST", "/invocations", b"1,2,3,4,5").body == expected
    large = server.invoke("1,2,3,4,5\n" * 4000, "text/csv")
    assert large.body == expected * 4000
    assert server.invoke("", "text/csv").status == 204
    assert server.invoke("x", "text/csv").status == 415
    assert server.invoke("1,2,3,4,5,6", "text/csv").status == 400
    assert server.invoke("1,2,3,4", "text/csv").body == server.invoke("1,2,3,4,", "text/csv").body
    assert server.invoke("1,2,3,4,5", "text/csv", "image/png").status == 406


@pytest.mark.parametrize("content_type", ["text/csv", "text/libsvm", "application/json"])
def test_a_script_with_model_fn_alone_gets_the_original_defaults(
    train: Train, tmp_path: Path, features: Features, request_of: RequestOf, content_type: str
) -> None:
    booster = train("multi:softprob")
    booster.save_model(tmp_path / "model.ubj")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(
        "import xgboost\n\n\n"
        "def model_fn(model_dir):\n"
        "    return xgboost.Booster(model_file=model_dir + '/model.ubj')\n"
    )
    handler = XGBoostHandler(Settings(base_dir=tmp_path), Options())
    handler.prepare(tmp_path)
    handler.load(tmp_path)
    body = {
        "text/csv": "1,2,3,4,5",
        "text/libsvm": "0 0:1 1:2 2:3 3:4 4:5",
        "application/json": "[[1, 2, 3, 4, 5]]",
    }[content_type]

    answer = handler.handle(request_of(body, content_type, accept="application/json"))

    row = np.asarray([[1, 2, 3, 4, 5]], np.float32)
    assert json.loads(_text(answer)) == _expected(booster, row)
    assert not handler.shares_memory


def test_a_script_may_leave_out_model_fn_and_bring_the_rest(
    train: Train, tmp_path: Path, request_of: RequestOf
) -> None:
    booster = train("reg:squarederror")
    artifact.save(booster, tmp_path / "xgboost-model")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(
        "def output_fn(prediction, accept):\n"
        "    return f'answer {prediction[0]:.3f}', 'text/plain'\n"
    )
    handler = XGBoostHandler(Settings(base_dir=tmp_path), Options())
    handler.prepare(tmp_path)
    handler.load(tmp_path)
    found = _text(handler.handle(request_of("1,2,3,4,5")))
    assert found == f"answer {_expected(booster, np.asarray([[1, 2, 3, 4, 5]], np.float32))[0]:.3f}"
