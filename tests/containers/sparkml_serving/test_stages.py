"""What each stage computes, against scikit-learn where it has the same, and by hand elsewhere."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal_sparkml_serving import java
from sagelocal_sparkml_serving.bundle import BundleError
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler, normalize
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import murmurhash3_32

VECTOR = {"f": "double:vector"}
rng = np.random.default_rng(7)
table = rng.normal(size=(60, 3)) * [1.0, 20.0, 0.1] + [0.0, 5.0, 1.0]
labels = (table[:, 0] + table[:, 1] / 20 > 0.3).astype(int) + (table[:, 2] > 1.1)


def tree_lines(fitted: Any, values: Any) -> str:
    """A tree of scikit-learn in MLeap's lines, left before right."""
    tree, lines = fitted.tree_, []

    def visit(node: int) -> None:
        if tree.children_left[node] < 0:
            lines.append({"type": "leaf", "values": np.ravel(values(tree, node)).tolist()})
            return
        split = {"featureIndex": int(tree.feature[node]), "threshold": float(tree.threshold[node])}
        lines.append({"type": "internal", "split": {"type": "continuous", **split}})
        visit(tree.children_left[node])
        visit(tree.children_right[node])

    visit(0)
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.mark.parametrize(
    ("op", "attributes", "expected"),
    [
        (
            "standard_scaler",
            {"mean": table.mean(0), "std": table.std(0)},
            StandardScaler().fit_transform(table),
        ),
        (
            "min_max_scaler",
            {"min": table.min(0), "max": table.max(0)},
            MinMaxScaler().fit_transform(table),
        ),
        (
            "max_abs_scaler",
            {"maxAbs": np.abs(table).max(0)},
            MaxAbsScaler().fit_transform(table),
        ),
        ("normalizer", {"p_norm": 2.0}, normalize(table)),
        ("elementwise_product", {"scaling_vec": np.array([1.0, 0.0, 2.0])}, table * [1, 0, 2]),
        ("vector_slicer", {"indices": [2, 0]}, table[:, [2, 0]]),
        ("idf", {"idf": np.array([0.5, 1.5, 2.0])}, table * [0.5, 1.5, 2.0]),
        ("binarizer", {"threshold": 0.5}, (table > 0.5).astype(float)),
    ],
)
def test_vectors_are_scaled_as_by_scikit_learn(
    bundle: Any, op: str, attributes: dict[str, Any], expected: Any
) -> None:
    bundle.add(op, "f", "g", **attributes)

    found = [bundle.run([row.tolist()], VECTOR, "g:double:vector") for row in table[:5]]

    np.testing.assert_allclose(found, expected[:5], rtol=1e-12)


@pytest.mark.parametrize("packed", [False, True])
def test_principal_components_are_read_column_by_column(bundle: Any, packed: bool) -> None:
    fitted = PCA(2).fit(table)
    flat = fitted.components_.T.reshape(-1, order="F")
    shape = {"dimensions": [{"size": 3, "name": ""}, {"size": 2, "name": ""}]}
    written: dict[str, Any] = {"type": "tensor", "double": flat.tolist(), "shape": shape}
    if packed:
        raw = base64.b64encode(flat.astype(">f8").tobytes()).decode()
        written = {"type": "tensor", "base": "double", "value": raw, "shape": shape}
    bundle.add("pca", "f", "g", principal_components=written)

    found = bundle.run([table[0].tolist()], VECTOR, "g:double:vector")

    np.testing.assert_allclose(found, table[0] @ fitted.components_.T)


def test_categories_become_indices_vectors_and_one_vector(bundle: Any) -> None:
    bundle.add("string_indexer", "sex", "index", labels=["M", "F", "I"], handle_invalid="keep")
    hot = {"category_sizes": [3.0], "handle_invalid": "keep", "drop_last": True}
    bundle.add("one_hot_encoder", {"input0": "index"}, {"output0": "hot"}, **hot)
    ports = {"input1": "hot", "input0": "length", "input10": "rings", "input2": "f"}
    bundle.add("vector_assembler", ports, "all")
    inputs = {"sex": "string", "length": "double", "rings": "int", "f": "double:vector"}

    def run(sex: str) -> Any:
        return bundle.run([sex, 0.5, 9, [7.0, 8.0]], inputs, "all:double:vector")

    assert run("F") == [0.5, 0.0, 1.0, 0.0, 7.0, 8.0, 9.0]
    assert run("unseen") == [0.5, 0.0, 0.0, 0.0, 7.0, 8.0, 9.0]


def test_a_label_that_was_not_there_is_said(bundle: Any) -> None:
    bundle.add("string_indexer", "a", "i", labels_length=1, labels_array_0=["x", "y"])

    assert bundle.run(["y"], {"a": "string"}, "i:double") == "1.0"
    status, text = bundle.run(["z"], {"a": "string"}, "i:double")
    assert status == 400
    assert text.startswith("Unseen label: z.")
    assert text.endswith("the labels are: x, y.")


def test_indices_become_labels_again(bundle: Any) -> None:
    bundle.add("reverse_string_indexer", "i", "label", labels=["no", "yes"])

    assert bundle.run([1.0], {"i": "double"}, "label:string") == "yes"


@pytest.mark.parametrize(
    ("value", "bucket"), [(-7.0, "0.0"), (0.0, "1.0"), (0.5, "1.0"), (1.0, "2.0"), (99.0, "2.0")]
)
def test_buckets_may_be_open_at_both_ends(bundle: Any, value: float, bucket: str) -> None:
    # JSON has no infinity; MLeap writes null.
    bundle.add("bucketizer", "x", "b", splits={"type": "list", "double": [None, 0.0, 1.0, None]})

    assert bundle.run([value], {"x": "double"}, "b:double") == bucket


def test_a_value_out_of_all_buckets_is_said(bundle: Any) -> None:
    bundle.add("bucketizer", "x", "b", splits=[0.0, 1.0, 2.0])

    assert bundle.run([2.0], {"x": "double"}, "b:double") == "1.0"
    assert bundle.run([3.0], {"x": "double"}, "b:double")[0] == 400


def test_missing_values_are_imputed(bundle: Any) -> None:
    bundle.add("imputer", "x", "y", surrogate_value=4.5, missing_value=-1.0, strategy="mean")

    assert [bundle.run([x], {"x": "double"}, "y:double") for x in (-1.0, 2.0, "NaN")] == [
        "4.5",
        "2.0",
        "4.5",
    ]


def test_texts_become_words_pairs_and_counts(bundle: Any) -> None:
    bundle.add("tokenizer", "text", "words")
    bundle.add("stopwords_remover", "words", "kept", stop_words=["The"], case_sensitive=False)
    bundle.add("ngram", "kept", "pairs", n=2)
    bundle.add("count_vectorizer", "kept", "counts", vocabulary=["cat", "dog"], min_tf=1.0)
    inputs, row = {"text": "string"}, ["The cat the CAT sat "]

    assert bundle.run(row, inputs, "words:string:array") == ["the", "cat", "the", "cat", "sat"]
    assert bundle.run(row, inputs, "pairs:string:array") == ["cat cat", "cat sat"]
    assert bundle.run(row, inputs, "counts:double:vector") == [2.0, 0.0]


def test_a_regular_expression_splits_or_finds(bundle: Any) -> None:
    bundle.add("regex_tokenizer", "t", "gaps", regex=",", match_gaps=True, token_min_length=1)
    bundle.add("regex_tokenizer", "t", "found", regex="[A-Z]", token_min_length=1)

    assert bundle.run(["aX,,bY"], {"t": "string"}, "gaps:string:array") == ["aX", "bY"]
    assert bundle.run(["aX,,bY"], {"t": "string"}, "found:string:array") == ["X", "Y"]


@given(st.binary(max_size=40))
def test_words_are_hashed_as_spark_3_hashes_them(data: bytes) -> None:
    expected = murmurhash3_32(data, seed=42)

    assert java.murmur3(data, standard=True) == expected
    if len(data) % 4 == 0:  # of others Spark 2 takes the last bytes one by one
        assert java.murmur3(data, standard=False) == expected


def test_hashed_words_are_counted_in_their_places(bundle: Any) -> None:
    bundle.add("hashing_term_frequency", "words", "tf", num_features=16, hashUnsafeBytesVersion=2)
    words = ["spark", "serves", "spark"]
    expected = [0.0] * 16
    for word in words:
        expected[murmurhash3_32(word.encode(), seed=42) % 16] += 1

    assert bundle.run([words], {"words": "string:array"}, "tf:double:vector") == expected


def test_a_linear_model_without_intercept_is_read(bundle: Any) -> None:
    # MLeap leaves out what is zero.
    bundle.add(
        *("linear_regression", {"features": "f"}, {"prediction": "p"}),
        coefficients=np.array([2.0, 3.0]),
        intercept=0.0,
    )

    assert bundle.run([[1.0, 10.0]], VECTOR, "p:double") == "32.0"
    assert bundle.run([[1.0]], VECTOR, "p:double")[1] == (
        "The column 'f' has 1 values; the pipeline was fitted with 2."
    )


OUTPUTS = {"prediction": "p", "probability": "q", "raw_prediction": "r"}


@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_regression_gives_scikit_learns_probabilities(bundle: Any, classes: int) -> None:
    targets = np.minimum(labels, classes - 1)
    fitted = LogisticRegression(max_iter=2000).fit(table, targets)
    if classes == 2:
        model = {"coefficients": fitted.coef_[0], "intercept": float(fitted.intercept_[0])}
        bundle.add("logistic_regression", {"features": "f"}, OUTPUTS, threshold=0.5, **model)
    else:
        model = {"coefficient_matrix": fitted.coef_, "intercept_vector": fitted.intercept_}
        bundle.add("logistic_regression", {"features": "f"}, OUTPUTS, num_classes=3, **model)

    for row in table[:5]:
        found = bundle.run([row.tolist()], VECTOR, "q:double:vector")
        np.testing.assert_allclose(found, fitted.predict_proba([row])[0], rtol=1e-9)
        predicted = bundle.run([row.tolist()], VECTOR, "p:double")
        assert float(predicted) == fitted.predict([row])[0]


def test_a_tree_regresses_as_scikit_learns(bundle: Any) -> None:
    fitted = DecisionTreeRegressor(max_depth=4, random_state=0).fit(table, table[:, 1] ** 2)
    outputs = {"prediction": "p"}
    place = bundle.add("decision_tree_regression", {"features": "f"}, outputs, num_features=3)
    (place / "tree.json").write_text(tree_lines(fitted, lambda tree, node: tree.value[node]))

    for row in table[:8]:
        found = bundle.run([row.tolist()], VECTOR, "p:double")
        # scikit-learn compares float32.
        assert float(found) == pytest.approx(fitted.predict([row])[0])


def test_a_forest_votes_as_scikit_learns(bundle: Any) -> None:
    fitted = RandomForestClassifier(5, max_depth=3, random_state=0).fit(table, labels)
    names = [f"tree{number}" for number in range(5)]
    place = bundle.add(
        *("random_forest_classifier", {"features": "f"}, OUTPUTS),
        **{"num_features": 3, "num_classes": 3, "trees": names, "tree_weights": [1.0] * 5},
    )
    for name, tree in zip(names, fitted.estimators_, strict=True):
        (place / name).mkdir()
        (place / name / "model.json").write_text('{"op": "decision_tree_classifier"}')
        (place / name / "tree.json").write_text(tree_lines(tree, lambda t, node: t.value[node]))

    for row in table[:8]:
        found = bundle.run([row.tolist()], VECTOR, "q:double:vector")
        np.testing.assert_allclose(found, fitted.predict_proba([row])[0], rtol=1e-9)


@pytest.mark.parametrize(("is_left", "expected"), [(True, "1.0"), (False, "2.0")])
def test_boosted_trees_add_up_and_split_by_category(
    bundle: Any, is_left: bool, expected: str
) -> None:
    weights = {"trees": ["tree0"], "tree_weights": [0.5], "num_features": 1}
    place = bundle.add("gbt_regression", {"features": "f"}, {"prediction": "p"}, **weights)
    split = {"type": "categorical", "featureIndex": 0, "isLeft": is_left, "numCategories": 3}
    lines = [
        {"type": "internal", "split": split | {"categories": [2.0]}},
        {"type": "leaf", "values": [2.0]},
        {"type": "leaf", "values": [4.0]},
    ]
    (place / "tree0").mkdir()
    (place / "tree0" / "model.json").write_text('{"op": "decision_tree_regression"}')
    (place / "tree0" / "tree.json").write_text("\n".join(map(json.dumps, lines)))

    assert bundle.run([[2.0]], VECTOR, "p:double") == expected


def test_the_nearest_centre_is_scikit_learns(bundle: Any) -> None:
    fitted = KMeans(3, n_init=1, random_state=0).fit(table)
    centres = [{"double": each.tolist()} for each in fitted.cluster_centers_]
    written = {"type": "list", "tensor": centres}
    bundle.add("k_means", {"features": "f"}, {"prediction": "p"}, cluster_centers=written)

    found = [bundle.run([row.tolist()], VECTOR, "p:int") for row in table[:10]]

    assert list(map(int, found)) == fitted.predict(table[:10]).tolist()


def test_bundles_of_mleap_before_0_6_are_read(bundle: Any, tmp_path: Path) -> None:
    tensor = {"type": "tensor", "tensor": {"base": "double"}}
    bundle.add(
        *("linear_regression", {"features": "f"}, {"prediction": "p"}),
        coefficients={"type": tensor, "value": {"values": [2.0, 1.0], "dimensions": [2]}},
        intercept={"type": "double", "value": 0.5},
    )

    assert bundle.run([[1.0, 1.0]], VECTOR, "p:double") == "3.5"


def test_a_stage_that_is_not_known_is_named(bundle: Any) -> None:
    bundle.add("word_to_vector", "a", "b")
    bundle.add("lda_local_model_op", "a", "b")

    with pytest.raises(BundleError, match="not know: lda_local_model_op, word_to_vector"):
        bundle.save().load()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["model.joblib"], "no bundle.json; it holds model.joblib"),
        (["pipeline.zip"], "still packed in pipeline.zip: unpack it"),
        (["bundle.json", "root/model.pb"], "written as protobuf"),
        (["bundle.json"], "has no root/model.json"),
    ],
)
def test_what_is_no_bundle_says_the_next_step(bundle: Any, files: list[str], said: str) -> None:
    for name in files:
        (bundle.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle.folder / name).write_text("{}")

    with pytest.raises(BundleError, match=said):
        bundle.load()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_decimal_is_written_as_java_writes_it(value: float) -> None:
    written = java.text(value)

    assert float(written) == value
    assert "e" not in written
    if value and not 1e-3 <= abs(value) < 1e7:
        digits, _, exponent = written.partition("E")
        assert 1 <= abs(float(digits)) < 10
        assert int(exponent) == math.floor(math.log10(abs(value))) or abs(float(digits)) == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.0, "1.0"),
        (100.0, "100.0"),
        (0.001, "0.001"),
        (0.0001, "1.0E-4"),
        (1e7, "1.0E7"),
        (12345678.9, "1.23456789E7"),
        (-0.0, "-0.0"),
        (float("inf"), "Infinity"),
        (True, "true"),
        (7, "7"),
    ],
)
def test_values_are_written_as_java_writes_them(value: Any, expected: str) -> None:
    assert java.text(value) == expected
