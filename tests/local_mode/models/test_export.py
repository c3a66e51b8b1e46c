"""`sagelocal model export` of the small families: what another library answers is what we do.

The models are saved by their families, exported by the command, opened by the target's own library,
and asked the same rows as what serves the family. Numbers may differ by what float32 loses in
another order of sums: 1e-5 of the largest.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import faiss
import joblib
import numpy as np
import onnx
import onnxruntime
import pytest
import sklearn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sagelocal.models.exporting.targets import FORMS, Target
from sagelocal_factorization_machines import model as factors
from sagelocal_kmeans import model as kmeans
from sagelocal_kmeans.model import Clusters
from sagelocal_knn import model as knn
from sagelocal_linear_learner import artifact as linear
from sagelocal_linear_learner.model import LinearModel, Link
from sagelocal_linear_learner.settings import PredictorType
from sagelocal_pca import model as pca
from sagelocal_pca.model import Projector

from tests.local_mode.models import saved
from tests.local_mode.models.conftest import Command
from tests.local_mode.models.saved import ARCHIVE, floats

Numbers = NDArray[Any]
unhurried = settings(
    deadline=None,
    max_examples=12,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
sizes = st.integers(1, 9)


def close(found: Numbers, expected: Numbers) -> None:
    largest = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * largest)


Answers = Callable[[Path, Numbers], dict[str, Numbers]]


@pytest.fixture(scope="session")
def by_onnx(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What ONNX Runtime answers with a model of ours to rows."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1

    def answers(folder: Path, rows: Numbers) -> dict[str, Numbers]:
        path = tmp_path_factory.mktemp("onnx") / "model.onnx"
        done = command("export", folder, "--to", "onnx", "--output", path)
        assert done.exit_code == 0, done.output
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_outputs()]
        return dict(zip(names, session.run(None, {"data": rows}), strict=True))

    return answers


@pytest.fixture(scope="session")
def estimator(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Any]:
    """The estimator that a model of ours becomes."""

    def opened(folder: Path) -> Any:
        path = tmp_path_factory.mktemp("sklearn") / "model.joblib"
        done = command("export", folder, "--to", "sklearn", "--output", path)
        assert done.exit_code == 0, done.output
        assert f"scikit-learn {sklearn.__version__}" in done.output
        return joblib.load(path)

    return opened


# --- Linear Learner ----------------------------------------------------------------------------

KINDS: list[tuple[PredictorType, Link, float]] = [
    ("regressor", "identity", 0.0),
    ("binary_classifier", "sigmoid", 0.5),
    ("binary_classifier", "sigmoid", 0.3),
    ("binary_classifier", "identity", 0.0),
    ("binary_classifier", "identity", -0.4),
    ("multiclass_classifier", "softmax", 0.5),
    ("multiclass_classifier", "identity", 0.0),
]


def linear_model(
    folder: Path, kind: tuple[PredictorType, Link, float], width: int = 4, classes: int = 3
) -> LinearModel:
    predictor, link, threshold = kind
    outputs = classes if predictor == "multiclass_classifier" else 1
    model = LinearModel(predictor, floats(outputs, width), floats(outputs), link, threshold)
    linear.save(model, folder / ARCHIVE)
    return linear.load(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_linear_learner_in_onnx(
    kind: tuple[PredictorType, Link, float], tmp_path: Path, by_onnx: Answers
) -> None:
    model, rows = linear_model(tmp_path, kind), floats(50, 4, seed=1)
    found, scores = by_onnx(tmp_path, rows), model.scores(rows)
    close(found["score"], scores)
    if kind[0] != "regressor":
        np.testing.assert_array_equal(found["predicted_label"], model.labels(scores))
        assert len(set(found["predicted_label"])) > 1
    assert ("predicted_label" in found) == (kind[0] != "regressor")


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_linear_learner_in_scikit_learn(
    kind: tuple[PredictorType, Link, float],
    classes: int,
    tmp_path: Path,
    estimator: Callable[[Path], Any],
) -> None:
    model, rows = linear_model(tmp_path, kind, classes=classes), floats(50, 4, seed=1)
    found, scores = estimator(tmp_path), model.scores(rows)
    if kind[0] == "regressor":
        close(found.predict(rows), scores)
        return
    np.testing.assert_array_equal(found.predict(rows), model.labels(scores))
    if kind[1] == "identity":
        decided = found.decision_function(rows)
        close(decided, scores[:, 1] - scores[:, 0] if scores.shape[1:] == (2,) else scores)
    else:
        probabilities = found.predict_proba(rows)
        close(probabilities[:, 1] if scores.ndim == 1 else probabilities, scores)


@unhurried
@given(st.sampled_from(KINDS), sizes, st.integers(2, 5), sizes)
def test_linear_learner_of_any_shape_in_onnx(
    tmp_path_factory: pytest.TempPathFactory,
    by_onnx: Answers,
    kind: tuple[PredictorType, Link, float],
    width: int,
    classes: int,
    count: int,
) -> None:
    folder = tmp_path_factory.mktemp("model")
    model, rows = linear_model(folder, kind, width, classes), floats(count, width, seed=2)
    close(by_onnx(folder, rows)["score"], model.scores(rows))


# --- Factorization Machines, PCA, K-Means ------------------------------------------------------


@unhurried
@given(st.booleans(), sizes, sizes, sizes)
def test_factorization_machines_in_onnx(
    tmp_path_factory: pytest.TempPathFactory,
    by_onnx: Answers,
    is_binary: bool,
    width: int,
    count: int,
    rank: int,
) -> None:
    folder = tmp_path_factory.mktemp("model")
    model = factors.FactorModel(is_binary, floats(1), floats(width), floats(width, rank, seed=3))
    kind = "binary_classifier" if is_binary else "regressor"
    factors.save(model, folder / ARCHIVE, {"predictor_type": kind})
    rows = floats(count, width, seed=4)
    found, expected = by_onnx(folder, rows), factors.load(folder).scores(rows)
    close(found["score"], expected)
    assert ("predicted_label" in found) == is_binary
    if is_binary:
        np.testing.assert_array_equal(found["predicted_label"], expected >= factors.THRESHOLD)


@unhurried
@given(sizes, sizes, st.data())
def test_pca_in_onnx_and_scikit_learn(
    tmp_path_factory: pytest.TempPathFactory,
    by_onnx: Answers,
    estimator: Callable[[Path], Any],
    width: int,
    count: int,
    data: st.DataObject,
) -> None:
    folder, wanted = tmp_path_factory.mktemp("model"), data.draw(st.integers(1, width))
    values = np.arange(1, wanted + 1, dtype=np.float32)
    Projector(floats(width, seed=5), floats(width, wanted), values).save(folder / ARCHIVE)
    rows = floats(count, width, seed=6)
    expected = pca.load(folder).project(rows)
    close(by_onnx(folder, rows)["projection"], expected)
    found = estimator(folder)
    close(found.transform(rows)[:, ::-1], expected)
    np.testing.assert_array_equal(found.singular_values_, values[::-1])


@unhurried
@given(sizes, sizes, sizes, st.sampled_from([0.0, 1000.0]))
def test_kmeans_in_onnx_and_scikit_learn(
    tmp_path_factory: pytest.TempPathFactory,
    by_onnx: Answers,
    estimator: Callable[[Path], Any],
    clusters: int,
    width: int,
    count: int,
    away: float,
) -> None:
    folder = tmp_path_factory.mktemp("model")
    Clusters(floats(clusters, width) + np.float32(away)).save(folder / ARCHIVE)
    rows = floats(count, width, seed=7) + np.float32(away)
    expected = kmeans.load(folder).closest(rows)
    found = by_onnx(folder, rows)
    np.testing.assert_array_equal(found["closest_cluster"], expected.labels)
    close(found["distance_to_cluster"], np.sqrt(expected.squares))
    fitted = estimator(folder)
    np.testing.assert_array_equal(fitted.predict(rows.astype(float)), expected.labels)
    distances = fitted.transform(rows.astype(float))[np.arange(count), expected.labels]
    close(distances, np.sqrt(expected.squares))


# --- k-NN --------------------------------------------------------------------------------------

METRICS = ("L2", "INNER_PRODUCT", "COSINE")


def neighbours(folder: Path, metric: str, predictor: Any, k: int, labels: int) -> knn.Model:
    points = knn.prepared(floats(40, 4, seed=8), None, metric == "COSINE")
    index = faiss.IndexFlatL2(4) if metric == "L2" else faiss.IndexFlatIP(4)
    index.add(points)
    given = np.arange(40, dtype=np.float32) % labels
    model = knn.Model(index, given, k, predictor, None, metric == "COSINE")
    model.save(folder / ARCHIVE)
    return knn.load(folder)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("predictor", ["classifier", "regressor"])
@pytest.mark.parametrize("k", [1, 4, 60])
def test_knn_in_onnx(metric: str, predictor: str, k: int, tmp_path: Path, by_onnx: Answers) -> None:
    model, rows = neighbours(tmp_path, metric, predictor, k, 5), floats(60, 4, seed=9)
    expected = model.predict(model.neighbours(rows))
    close(by_onnx(tmp_path, rows)["predicted_label"], expected)


@pytest.mark.parametrize("metric", ["L2", "COSINE"])
@pytest.mark.parametrize("predictor", ["classifier", "regressor"])
def test_knn_in_scikit_learn(
    metric: str, predictor: str, tmp_path: Path, estimator: Callable[[Path], Any]
) -> None:
    # Of two labels and an odd number of neighbours, there is no doubt.
    model, rows = neighbours(tmp_path, metric, predictor, 5, 2), floats(60, 4, seed=9)
    close(estimator(tmp_path).predict(rows), model.predict(model.neighbours(rows)))


# --- what is refused, and what is written ------------------------------------------------------

ALL = {
    "linear-learner": saved.linear_learner,
    "factorization-machines": saved.factorization_machines,
    "pca": saved.pca,
    "kmeans": saved.kmeans,
    "knn": saved.knn,
    "random-cut-forest": saved.random_cut_forest,
    "xgboost": saved.xgboost_ubj,
    "blazingtext": saved.word_vectors,
    "scikit-learn": saved.scikit_learn,
    "mxnet": saved.mxnet,
    "image-classification": saved.image_classification,
    "deepar": saved.deepar,
    "hugging-face": saved.hugging_face,
}
TARGETS: tuple[Target, ...] = get_args(Target)
REFUSED = [(f, t) for f in ALL for t in TARGETS if t not in FORMS.get(f, ())]


@pytest.mark.parametrize(("family", "target"), REFUSED)
def test_what_has_no_form_is_refused_with_those_that_it_has(
    family: str,
    target: str,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    ALL[family](tmp_path / "model")
    said = command.refusal("export", "model", "--to", target)
    assert "has no form in" in said
    for other in FORMS.get(family, ()):
        assert f"{other}" in said.partition("It has one --to ")[2]
    if family not in FORMS:
        assert "sagelocal serve answers with it" in said
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_numbers_that_scikit_learn_refuses_are_refused(command: Command, tmp_path: Path) -> None:
    centers = floats(3, 4)
    centers[1, 2] = np.nan
    Clusters(centers).save(tmp_path / ARCHIVE)
    said = command.refusal("export", tmp_path, "--to", "sklearn")
    assert "scikit-learn does not take its numbers: Input X contains NaN" in said


SPECIAL: dict[saved.Saver, tuple[Target, str]] = {
    saved.knn_in_lists: ("onnx", "train with index_type faiss.Flat"),
    saved.mxnet: ("onnx", "put model-shapes.json beside it"),
}


@pytest.mark.parametrize("saver", SPECIAL, ids=lambda saver: saver.__name__)
def test_what_one_model_has_and_others_not_is_said(
    saver: saved.Saver, command: Command, tmp_path: Path
) -> None:
    saver(tmp_path)
    target, expected = SPECIAL[saver]
    output = tmp_path / "out" / "model.onnx"
    assert expected in command.refusal("export", tmp_path, "--to", target, "--output", output)
    assert not output.exists()


def test_a_model_of_no_known_kind_is_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    said = command.refusal("export", tmp_path, "--to", "onnx")
    assert "nothing here knows what it computes" in said


def test_a_missing_library_is_named_with_its_extra(tmp_path: Path) -> None:
    saved.pca(tmp_path)
    program = (
        "import sys; sys.modules['onnx'] = None\n"
        "from sagelocal.cli.main import main\n"
        f"main(['model', 'export', {str(tmp_path)!r}, '--to', 'onnx'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert "needs the package onnx" in done.stderr
    assert "pip install 'sagelocal[onnx]'" in done.stderr


def test_the_usual_name_is_in_this_folder_and_the_file_is_replaced(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archived: Any
) -> None:
    (tmp_path / "model").mkdir()
    saved.kmeans(tmp_path / "model")
    path = archived(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        done = command("export", path, "--to", "onnx")
        assert done.exit_code == 0, done.output
    assert done.output == (
        "model.onnx: ONNX of opset 17: data (N x 4) -> closest_cluster (N), "
        "distance_to_cluster (N)\n"
    )
    (props,) = onnx.load("model.onnx").metadata_props
    assert (props.key, props.value) == ("family", "kmeans")
    again = command.refusal("export", "model.onnx", "--to", "onnx")
    assert "it is ONNX already" in again


def test_a_place_that_cannot_be_written_is_said(command: Command, tmp_path: Path) -> None:
    saved.pca(tmp_path)
    said = command.refusal(
        "export", tmp_path, "--to", "onnx", "--output", tmp_path / ARCHIVE / "model.onnx"
    )
    assert "cannot be written" in said
