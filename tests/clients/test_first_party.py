"""The numeric built-in algorithms by the unmodified SDK: their own classes, the generic estimator,
and the SDK's local mode."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sagelocal_formats import mxnet_ndarray
from sagelocal_formats.record_protobuf import encode_rows
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

if TYPE_CHECKING:
    from tests.clients.conftest import Terminal

pytestmark = [pytest.mark.clients, pytest.mark.slow]

SCRIPTS = Path(__file__).parent / "first_party"


@dataclass(frozen=True)
class Case:
    """A family: how the SDK calls it, and what to train with."""

    family: str
    sdk_class: str
    by_class: dict[str, object]
    """The arguments of the class."""
    by_name: dict[str, object]
    """The hyperparameters of the generic estimator, without the width."""
    content_type: str = "text/csv;label_size=0"
    """Of the files that the generic estimator is given."""
    image: str = ""
    """The image's name where it is not the ECR repository's."""

    @property
    def tag(self) -> str:
        """The image."""
        return f"sagelocal/{self.image or self.family}:1"

    @property
    def reads_csv(self) -> bool:
        """Whether training reads text/csv."""
        return self.content_type.startswith("text/csv")


CASES = [
    pytest.param(
        Case(
            "pca",
            "PCA",
            {"num_components": 6},
            {"num_components": 2, "mini_batch_size": 100, "algorithm_mode": "randomized"},
        ),
        id="pca",
    ),
    pytest.param(
        Case(
            "kmeans",
            "KMeans",
            {"k": 10, "center_factor": 8, "eval_metrics": ["msd", "ssd"]},
            {"k": 4, "init_method": "kmeans++"},
        ),
        id="kmeans",
    ),
    pytest.param(
        Case(
            "knn",
            "KNN",
            {
                "k": 5,
                "sample_size": 1800,
                "predictor_type": "classifier",
                "index_type": "faiss.IVFFlat",
            },
            {"k": 3, "sample_size": 50, "predictor_type": "regressor"},
            "text/csv;label_size=1",
        ),
        id="knn",
    ),
    pytest.param(
        Case(
            "randomcutforest",
            "RandomCutForest",
            {
                "num_trees": 60,
                "num_samples_per_tree": 25,
                "eval_metrics": ["accuracy", "precision_recall_fscore"],
            },
            {"num_trees": 50, "num_samples_per_tree": 10},
            image="random-cut-forest",
        ),
        id="randomcutforest",
    ),
    pytest.param(
        Case(
            "factorization-machines",
            "FactorizationMachines",
            {"num_factors": 3, "predictor_type": "regressor", "epochs": 80, "factors_lr": 0.002},
            {"num_factors": 2, "predictor_type": "regressor", "mini_batch_size": 100},
            "application/x-recordio-protobuf",
        ),
        id="factorization-machines",
    ),
]
# Its generic estimator and the SDK's local mode are those of the chapter.
LINEAR_LEARNER = pytest.param(
    Case(
        "linear-learner",
        "LinearLearner",
        {"predictor_type": "multiclass_classifier", "num_classes": 10},
        {},
    ),
    id="linear-learner",
)


@pytest.fixture(scope="session")
def digits() -> NDArray[np.float32]:
    features: NDArray[np.float64] = load_digits(return_X_y=True)[0]
    return features.astype(np.float32)


@pytest.mark.parametrize("case", [*CASES, LINEAR_LEARNER])
def test_the_sdks_own_class_trains_on_two_hosts_deploys_and_predicts(
    case: Case, place: Terminal, digits: NDArray[np.float32], tmp_path: Path
) -> None:
    report, _ = place.notebook(
        SCRIPTS / "dedicated.py", case.sdk_class, tmp_path, json.dumps(case.by_class)
    )
    assert report["status"] == "Completed"
    assert report["image"].endswith(f".amazonaws.com/{case.family}:1")
    assert report["metrics"]["train:progress"] == 100
    CHECKS[case.family](report, tmp_path, digits)


def check_pca(report: dict[str, Any], model: Path, digits: NDArray[np.float32]) -> None:
    assert [path.name for path in model.iterdir()] == ["model_algo-1"]
    arrays = mxnet_ndarray.load(model / "model_algo-1").by_name()
    best = PCA(6, svd_solver="full").fit(digits.astype(np.float64))
    np.testing.assert_allclose(arrays["s"][::-1], best.singular_values_, rtol=1e-3)
    expected = (digits[:5] - arrays["mean"]) @ arrays["v"]
    projected = [record["projection"] for record in report["records"]]
    np.testing.assert_allclose(projected, expected, rtol=1e-4, atol=1e-3)
    answered = [row["projection"] for row in report["answer"]["projections"]]
    np.testing.assert_allclose(answered, projected[:2], rtol=1e-6)


def check_kmeans(report: dict[str, Any], model: Path, digits: NDArray[np.float32]) -> None:
    assert [path.name for path in model.iterdir()] == ["model_algo-1"]
    centers = mxnet_ndarray.load(model / "model_algo-1").dense(0)
    distances = np.linalg.norm(digits[:, None] - centers[None], axis=2)
    for record, row in zip(report["records"], distances, strict=False):
        assert record["closest_cluster"] == [row.argmin()]
        np.testing.assert_allclose(record["distance_to_cluster"], row.min(), rtol=1e-5)
    expected = [{name: value[0] for name, value in r.items()} for r in report["records"][:2]]
    assert report["answer"] == {"predictions": expected}
    squares = np.square(distances.min(axis=1))
    assert report["metrics"]["train:msd"] == pytest.approx(squares.mean(), rel=1e-4)
    assert report["metrics"]["test:ssd"] == pytest.approx(squares[:100].sum(), rel=1e-4)
    best = KMeans(10, n_init=5, random_state=0).fit(digits)
    assert squares.sum() < 1.05 * best.inertia_


def check_factorization_machines(
    report: dict[str, Any], model: Path, digits: NDArray[np.float32]
) -> None:
    with zipfile.ZipFile(model / "model_algo-1") as archive:
        assert archive.namelist() == ["meta.json", "params", "symbol.json"]
        arrays = mxnet_ndarray.loads(archive.read("params"), "params").by_name()
    bias, linear, factors = (arrays[f"arg:{name}"] for name in ("w0_weight", "w1_weight", "v"))
    pairs = np.square(digits @ factors) - np.square(digits) @ np.square(factors)
    expected = bias + digits @ linear + pairs.sum(axis=1, keepdims=True) / 2
    scores = [record["score"] for record in report["records"]]
    np.testing.assert_allclose(scores, expected[:5], rtol=1e-4)
    answered = [entry["score"] for entry in report["answer"]["predictions"]]
    np.testing.assert_allclose(answered, expected[:2, 0], rtol=1e-4)
    labels = load_digits(return_X_y=True)[1][:100]
    rmse = np.sqrt(np.square(expected[:100, 0] - labels).mean())
    assert report["metrics"]["test:rmse"] == pytest.approx(rmse, rel=1e-3)
    assert rmse < 2.5  # the deviation of the labels is 2.9


def check_random_cut_forest(
    report: dict[str, Any], model: Path, digits: NDArray[np.float32]
) -> None:
    arrays = mxnet_ndarray.load(model / "model_algo-1").by_name()
    assert (len(arrays["roots"]), arrays["size"][0]) == (60, 25)
    # The rows of both hosts: each has digits that the other has not.
    sampled = {row.tobytes() for row in arrays["points"]}
    halves = [{row.tobytes() for row in half} for half in (digits[:898], digits[898:])]
    assert all(len(sampled & half) > 500 for half in halves)
    scores = [record["score"][0] for record in report["records"]]
    # The first one is a digit's negative.
    assert scores[0] > 1.2 * max(scores[1:])
    answered = [entry["score"] for entry in report["answer"]["scores"]]
    np.testing.assert_allclose(answered, scores[:2], rtol=1e-5)
    assert report["metrics"]["test:f1"] > 0.6


def check_knn(report: dict[str, Any], model: Path, digits: NDArray[np.float32]) -> None:
    assert sorted(path.name for path in model.iterdir()) == [
        "model_algo-1",
        "model_algo-1.json",
        "model_algo-1.labels",
    ]
    labels = np.fromfile(model / "model_algo-1.labels", np.float32)
    assert sorted(labels) == sorted(load_digits(return_X_y=True)[1])
    assert json.loads((model / "model_algo-1.json").read_text())["k"] == 5
    assert [record["predicted_label"] for record in report["records"]] == [[0], [1], [2], [3], [4]]
    assert report["answer"] == {"predictions": [{"predicted_label": 0}, {"predicted_label": 1}]}
    assert report["metrics"]["test:accuracy"] > 0.95


def check_linear_learner(report: dict[str, Any], model: Path, digits: NDArray[np.float32]) -> None:
    with zipfile.ZipFile(model / "model_algo-1") as archive:
        params = archive.read("mx-mod-0000.params")
    arrays = mxnet_ndarray.loads(params, "params").by_name()
    outputs = digits @ arrays["arg:fc0_weight"].T + arrays["arg:fc0_bias"]
    right = outputs.argmax(axis=1) == load_digits(return_X_y=True)[1]
    # Of the rows of either host alone it would be less.
    assert right.mean() > 0.97
    assert report["metrics"]["test:multiclass_accuracy"] == pytest.approx(right[:100].mean())
    assert [record["predicted_label"] for record in report["records"]] == [[0], [1], [2], [3], [4]]
    for record, row in zip(report["records"], outputs, strict=False):
        shares = np.exp(row - row.max())
        np.testing.assert_allclose(record["score"], shares / shares.sum(), rtol=1e-3, atol=1e-6)
    answered = [entry["predicted_label"] for entry in report["answer"]["predictions"]]
    assert answered == [0, 1]


CHECKS = {
    "linear-learner": check_linear_learner,
    "pca": check_pca,
    "kmeans": check_kmeans,
    "factorization-machines": check_factorization_machines,
    "randomcutforest": check_random_cut_forest,
    "knn": check_knn,
}


@pytest.mark.parametrize("case", CASES)
def test_the_generic_estimator_trains_from_a_pipe_and_tells_which_row_is_wrong(
    case: Case, terminal: Terminal
) -> None:
    given = json.dumps({"feature_dim": 64, **case.by_name})
    report, _ = terminal.notebook(SCRIPTS / "generic.py", case.family, given, case.content_type)
    assert report["status"] == "Completed"
    if case.reads_csv:
        assert "train/rows.csv, line 7: 3 columns, the lines before it have 64" in report["told"]
    else:
        assert "train/rows.pbr, record 7, byte " in report["told"]
        assert "3 values where the first record has 64" in report["told"]


@pytest.mark.docker
@pytest.mark.parametrize("case", CASES)
def test_the_image_trains_and_serves_in_the_sdks_local_mode(
    case: Case, local_mode: Any, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    rows, labels = random.integers(0, 9, (60, 3)).astype(np.float32), random.integers(0, 9, (60, 1))
    file = tmp_path / "train" / "rows"  # Local mode mounts its folder.
    file.parent.mkdir()
    if not case.reads_csv:
        file.write_bytes(encode_rows({"values": rows}, {"values": labels}))
    else:
        table = np.hstack([labels, rows]) if case.content_type.endswith("1") else rows
        np.savetxt(file, table, "%d", ",")
    last = local_mode(
        *(SCRIPTS / "local_mode.py", case.tag, tmp_path),
        *(file, json.dumps({"feature_dim": 3, **case.by_name}), case.content_type),
    )
    answer = json.loads(last)
    (records,) = answer.values()
    assert len(records) == 1
