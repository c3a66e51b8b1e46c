"""The feature transformers, by the names of MLeap's operations.

What each does is Spark's documentation ("Extracting, transforming and selecting features"); what
its attributes are called, MLeap's.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sagelocal_sparkml_serving import frame, java
from sagelocal_sparkml_serving.bundle import Array, BundleError, Stage
from sagelocal_sparkml_serving.faults import Refused
from sagelocal_sparkml_serving.frame import Row, Step

_PORT_NUMBER = re.compile(r"\d+$")
_LARGEST = np.finfo(np.float64).max


def binarizer(stage: Stage) -> Step:
    threshold = stage.number("threshold")
    return frame.of_number(stage, lambda value: 1.0 if value > threshold else 0.0)


def bucketizer(stage: Stage) -> Step:
    # Infinities at both ends, for which JSON has no form, are null in MLeap's files.
    splits = stage.numbers("splits").tolist()
    for end, infinity in ((0, -math.inf), (-1, math.inf)):
        if math.isnan(splits[end]) or abs(splits[end]) >= _LARGEST:
            splits[end] = infinity
    keep = stage.text("handle_invalid", default="error") == "keep"

    def bucket(value: float) -> float:
        if math.isnan(value):
            if keep:
                return float(len(splits) - 1)
            raise Refused("Bucketizer encountered NaN value. Save it with handleInvalid keep.")
        if value == splits[-1]:
            return float(len(splits) - 2)
        found = bisect_right(splits, value) - 1
        if 0 <= found < len(splits) - 1:
            return float(found)
        if keep:
            return float(len(splits) - 1)
        raise Refused(
            f"Feature value {java.text(value)} out of Bucketizer bounds [{java.text(splits[0])}, "
            f"{java.text(splits[-1])}]."
        )

    return frame.of_number(stage, bucket)


def coalesce(stage: Stage) -> Step:
    sources, target = _in_order(stage.inputs), stage.output()

    def step(row: Row) -> None:
        values = (row.get(source) for source in sources)
        row[target] = next((value for value in values if value is not None), None)

    return step


def count_vectorizer(stage: Stage) -> Step:
    vocabulary = {word: at for at, word in enumerate(stage.texts("vocabulary"))}
    binary, least = stage.flag("binary"), stage.number("min_tf", default=0.0)

    def count(found: Sequence[str]) -> Array:
        enough = least if least >= 1 else least * len(found)
        counts = np.zeros(len(vocabulary))
        for word, times in Counter(found).items():
            if word in vocabulary and times >= enough:
                counts[vocabulary[word]] = 1.0 if binary else times
        return counts

    return frame.of_words(stage, count)


def elementwise_product(stage: Stage) -> Step:
    scale = stage.numbers("scaling_vec")
    return frame.of_vector(stage, lambda value: value * scale, len(scale))


def hashing_term_frequency(stage: Stage) -> Step:
    size, binary = int(stage.number("num_features")), stage.flag("binary")
    standard = stage.number("hashUnsafeBytesVersion", default=1) == 2

    def count(found: Sequence[str]) -> Array:
        counts = np.zeros(size)
        for word, times in Counter(found).items():
            # Python's remainder has the sign of the divisor, as Spark's nonNegativeMod.
            counts[java.murmur3(word.encode(), standard) % size] += times
        return np.minimum(counts, 1.0) if binary else counts

    return frame.of_words(stage, count)


def idf(stage: Stage) -> Step:
    weights = stage.numbers("idf")
    return frame.of_vector(stage, lambda value: value * weights, len(weights))


def imputer(stage: Stage) -> Step:
    surrogate = stage.number("surrogate_value", "imputeValue")
    named = stage.has("missing_value", "missingValue")
    missing = stage.number("missing_value", "missingValue") if named else math.nan
    source, target = stage.input(), stage.output()

    def step(row: Row) -> None:
        value = frame.column(row, source)
        is_missing = value is None or math.isnan(found := frame.number(row, source))
        row[target] = surrogate if is_missing or found == missing else found

    return step


def math_binary(stage: Stage) -> Step:
    operations: Mapping[str, Callable[[float, float], float]] = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "div": lambda a, b: float(np.divide(a, b)),
        "rem": math.fmod,
        "pow": math.pow,
        "log_n": math.log,
        "min": min,
        "max": max,
    }
    compute = _operation(stage, operations)
    defaults = {port: stage.attributes.get(f"d{port[-1]}") for port in ("input_a", "input_b")}
    columns = dict(stage.inputs)
    target = stage.output()

    def step(row: Row) -> None:
        values = [
            frame.number(row, columns[port]) if port in columns else float(default or 0)
            for port, default in defaults.items()
        ]
        row[target] = compute(*values)

    return step


def math_unary(stage: Stage) -> Step:
    operations: Mapping[str, Callable[[float], float]] = {
        "sin": math.sin,
        "cos": math.cos,
        "tan": math.tan,
        "log": lambda value: float(np.log(value)),
        "exp": lambda value: float(np.exp(value)),
        "abs": abs,
        "sqrt": lambda value: float(np.sqrt(value)),
        "logit": lambda value: float(np.log(value / (1 - value))),
    }
    return frame.of_number(stage, _operation(stage, operations))


def max_abs_scaler(stage: Stage) -> Step:
    largest = stage.numbers("maxAbs", "max_abs")
    scale = np.where(largest == 0, 1.0, largest)
    return frame.of_vector(stage, lambda value: value / scale, len(scale))


def min_max_scaler(stage: Stage) -> Step:
    lowest, highest = stage.numbers("min"), stage.numbers("max")
    low = stage.number("minValue", default=0.0) if stage.has("minValue") else 0.0
    high = stage.number("maxValue", default=1.0) if stage.has("maxValue") else 1.0
    spread = highest - lowest

    def scale(value: Array) -> Array:
        raw = np.where(spread == 0, 0.5, (value - lowest) / np.where(spread == 0, 1.0, spread))
        return raw * (high - low) + low

    return frame.of_vector(stage, scale, len(lowest))


def ngram(stage: Stage) -> Step:
    size = int(stage.number("n"))
    return frame.of_words(
        stage,
        lambda found: [
            " ".join(found[at : at + size]) for at in range(max(0, len(found) - size + 1))
        ],
    )


def normalizer(stage: Stage) -> Step:
    order = stage.number("p_norm")

    def normalise(value: Array) -> Array:
        norm = np.linalg.norm(value, order)
        return value / norm if norm else value

    return frame.of_vector(stage, normalise)


def one_hot_encoder(stage: Stage) -> Step:
    old = stage.has("size")
    sizes = [int(size) for size in stage.numbers("size" if old else "category_sizes")]
    drop_last = stage.flag("drop_last")
    keep = not old and stage.text("handle_invalid", default="error") == "keep"
    sources, targets = _in_order(stage.inputs), _in_order(stage.outputs)

    def encode(label: float, size: int) -> Array:
        if label != int(label) or label < 0:
            raise Refused(f"invalid label: {java.text(label)}, must be integer")
        if label >= size and not keep:
            raise Refused(f"Unseen value: {java.text(label)}; the encoder knows {size} categories.")
        found = np.zeros(size + keep - drop_last)
        at = min(int(label), size)
        if at < len(found):
            found[at] = 1.0
        return found

    def step(row: Row) -> None:
        for source, target, size in zip(sources, targets, sizes, strict=True):
            row[target] = encode(frame.number(row, source), size)

    return step


def pca(stage: Stage) -> Step:
    components = stage.matrix("principal_components")
    return frame.of_vector(stage, lambda value: value @ components, len(components))


def regex_tokenizer(stage: Stage) -> Step:
    pattern = re.compile(stage.text("regex"))
    gaps, least = stage.flag("match_gaps"), int(stage.number("token_min_length", default=0.0))
    lower = stage.flag("lowercase_text")

    def split(text: str) -> list[str]:
        given = text.lower() if lower else text
        found = pattern.split(given) if gaps else [each[0] for each in pattern.finditer(given)]
        return [token for token in found if len(token) >= least]

    return _of_text(stage, split)


def reverse_string_indexer(stage: Stage) -> Step:
    labels = stage.texts("labels")

    def label(value: float) -> str:
        if not 0 <= value < len(labels):
            raise Refused(f"The index {java.text(value)} has no label; there are {len(labels)}.")
        return labels[int(value)]

    return frame.of_number(stage, label)


def select(stage: Stage) -> Step:
    indices = [int(each) for each in stage.numbers("filter_indices", "indices")]

    def choose(value: Array) -> Array:
        if indices and max(indices) >= len(value):
            raise Refused(
                f"{stage} takes the value {max(indices)} of a vector that has {len(value)}."
            )
        return value[indices]

    return frame.of_vector(stage, choose)


def standard_scaler(stage: Stage) -> Step:
    mean = stage.numbers("mean") if stage.attributes.get("mean") else None
    std = stage.numbers("std") if stage.attributes.get("std") else None
    if mean is None and std is None:
        raise BundleError(f"{stage} has neither a mean nor a std.")
    size = len(std if std is not None else mean)  # type: ignore[arg-type]  # one is there
    factor = None if std is None else np.where(std == 0, 0.0, 1.0 / np.where(std == 0, 1.0, std))

    def scale(value: Array) -> Array:
        moved = value if mean is None else value - mean
        return moved if factor is None else moved * factor

    return frame.of_vector(stage, scale, size)


def stop_words_remover(stage: Stage) -> Step:
    case_sensitive = stage.flag("case_sensitive")
    stop_words = stage.texts("stop_words")
    known = set(stop_words if case_sensitive else [word.lower() for word in stop_words])
    return frame.of_words(
        stage,
        lambda found: [
            word for word in found if (word if case_sensitive else word.lower()) not in known
        ],
    )


def string_indexer(stage: Stage) -> Step:
    if stage.has("labels_length"):
        count = int(stage.number("labels_length"))
        lists = [stage.texts(f"labels_array_{at}") for at in range(count)]
    else:
        lists = [stage.texts("labels")]
    known = [{label: float(at) for at, label in enumerate(labels)} for labels in lists]
    keep = stage.text("handle_invalid", default="error") == "keep"
    sources, targets = _in_order(stage.inputs), _in_order(stage.outputs)

    def index(value: Any, labels: Mapping[str, float]) -> float:
        found = None if value is None else labels.get(java.text(value))
        if found is not None:
            return found
        if keep:
            return float(len(labels))
        what = "NULL" if value is None else java.text(value)
        raise Refused(
            f"Unseen label: {what}. To handle unseen labels, set handleInvalid to keep; the labels "
            f"are: {', '.join(list(labels)[:20])}."
        )

    def step(row: Row) -> None:
        for source, target, labels in zip(sources, targets, known, strict=True):
            row[target] = index(frame.column(row, source), labels)

    return step


def string_map(stage: Stage) -> Step:
    known = dict(zip(stage.texts("labels"), stage.numbers("values").tolist(), strict=True))
    keep = stage.text("handle_invalid", default="error") == "keep"
    default = stage.number("default_value", default=0.0)

    def look_up(text: str) -> float:
        if text not in known and not keep:
            raise Refused(f"Missing label: {text}. The labels are: {', '.join(list(known)[:20])}.")
        return float(known.get(text, default))

    return _of_text(stage, look_up)


def tokenizer(stage: Stage) -> Step:
    def split(text: str) -> list[str]:
        # Java's split keeps an empty text at the beginning and none at the end.
        found = re.split(r"\s", text.lower())
        while len(found) > 1 and not found[-1]:
            found.pop()
        return found

    return _of_text(stage, split)


def vector_assembler(stage: Stage) -> Step:
    sources, target = _in_order(stage.inputs), stage.output()

    def step(row: Row) -> None:
        parts = []
        for source in sources:
            if isinstance(frame.column(row, source), np.ndarray | list):
                parts.append(frame.vector(row, source))
            else:
                parts.append(np.array([frame.number(row, source)]))
        row[target] = np.concatenate(parts) if parts else np.zeros(0)

    return step


STAGES: Mapping[str, Callable[[Stage], Step]] = {
    "binarizer": binarizer,
    "bucketizer": bucketizer,
    "chi_sq_selector": select,
    "coalesce": coalesce,
    "count_vectorizer": count_vectorizer,
    "elementwise_product": elementwise_product,
    "hashing_term_frequency": hashing_term_frequency,
    "idf": idf,
    "imputer": imputer,
    "math_binary": math_binary,
    "math_unary": math_unary,
    "max_abs_scaler": max_abs_scaler,
    "min_max_scaler": min_max_scaler,
    "ngram": ngram,
    "normalizer": normalizer,
    "one_hot_encoder": one_hot_encoder,
    "pca": pca,
    "regex_tokenizer": regex_tokenizer,
    "reverse_string_indexer": reverse_string_indexer,
    "standard_scaler": standard_scaler,
    "stopwords_remover": stop_words_remover,
    "string_indexer": string_indexer,
    "string_map": string_map,
    "tokenizer": tokenizer,
    "vector_assembler": vector_assembler,
    "vector_slicer": select,
}


def _in_order(sockets: Sequence[tuple[str, str]]) -> list[str]:
    """Columns by the numbers of their ports, input0 before input10."""

    def number(at: int) -> tuple[int, int]:
        found = _PORT_NUMBER.search(sockets[at][0])
        return (int(found[0]) if found else 0, at)

    return [sockets[at][1] for at in sorted(range(len(sockets)), key=number)]


def _of_text(stage: Stage, compute: Callable[[str], Any]) -> Step:
    source, target = stage.input(), stage.output()

    def step(row: Row) -> None:
        value = frame.column(row, source)
        if not isinstance(value, str):
            raise Refused(f"The column {source!r} is no text: {value!r}. See its type.")
        row[target] = compute(value)

    return step


def _operation(stage: Stage, operations: Mapping[str, Callable[..., float]]) -> Any:
    name = stage.text("operation")
    if name not in operations:
        raise BundleError(
            f"{stage}: the operation {name!r} is not known. Known: {', '.join(operations)}."
        )
    return operations[name]
