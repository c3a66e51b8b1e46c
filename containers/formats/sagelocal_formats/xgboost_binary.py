"""XGBoost's old binary model format, which XGBoost 3.1 and later no longer read, as JSON.

`Booster.save_model` wrote it up to XGBoost 1.7 whatever the file was called, and so did SageMaker's
XGBoost images 1.3 to 1.7; the pickles of 0.90 hold it too. The structs are those of XGBoost 1.7:

    ["binf"] LearnerModelParam  objective  booster  <booster>  [attributes]  ...
    gbtree    GBTreeModelParam  (TreeParam  nodes  stats  [leaf vector]) per tree  tree groups
    dart      as gbtree, then the weight of each tree
    gblinear  GBLinearModelParam  weights

(src/learner.cc, src/gbm/gbtree_model.h, include/xgboost/tree_model.h, src/gbm/gblinear_model.h).
Everything is little-endian; strings and vectors begin with their length as a 64-bit number.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagelocal_formats.errors import FormatError

MAGIC = b"binf"

_NODE = np.dtype(
    [("parent", "<u4"), ("left", "<i4"), ("right", "<i4"), ("split", "<u4"), ("value", "<f4")]
)
_STAT = np.dtype([("loss", "<f4"), ("hessian", "<f4"), ("weight", "<f4"), ("leaves", "<i4")])
_LOW_BITS = np.uint32(0x7FFFFFFF)
_LEARNER_BYTES, _TREES_BYTES, _TREE_BYTES, _LINEAR_BYTES = 136, 160, 148, 136
_MAX_NAME_BYTES = 1 << 10
_MAX_TREES = 1 << 24
_BOOSTERS = ("gbtree", "dart", "gblinear")

# The JSON schema of the last version that wrote both formats.
_VERSION = [1, 7, 6]

# Old names that later versions know no more.
_RENAMED = {"reg:linear": "reg:squarederror", "gpu:reg:linear": "reg:squarederror"}

_OBJECTIVE_PARAMETERS: dict[str, dict[str, dict[str, str]]] = {
    "multi:": {"softmax_multiclass_param": {}},
    "count:poisson": {"poisson_regression_param": {"max_delta_step": "0.7"}},
    "reg:tweedie": {"tweedie_regression_param": {"tweedie_variance_power": "1.5"}},
    "reg:pseudohubererror": {"pseudo_huber_param": {"huber_slope": "1"}},
    "rank:": {"lambda_rank_param": {"num_pairsample": "1", "fix_list_weight": "0"}},
    "survival:aft": {
        "aft_loss_param": {"aft_loss_distribution": "normal", "aft_loss_distribution_scale": "1"}
    },
    "reg:": {"reg_loss_param": {"scale_pos_weight": "1"}},
    "binary:": {"reg_loss_param": {"scale_pos_weight": "1"}},
}


def looks_like(data: bytes) -> bool:
    """Whether these bytes, of the file's first 256 or more, begin as such a model does.

    Files of 0.90 have no magic.
    """
    if data.startswith(MAGIC):
        return True
    try:
        learner = _Reader(data, "").learner()
    except FormatError:
        return False
    objective: str = learner["objective"]
    return objective.isprintable() and learner["booster"] in _BOOSTERS


def loads(data: bytes, source: str = "<bytes>") -> dict[str, Any]:
    """The model as the JSON document that `Booster.load_model` reads; raises FormatError."""
    reader = _Reader(data, source)
    learner = reader.learner()
    objective = _RENAMED.get(learner["objective"], learner["objective"])
    booster = _booster(reader, learner)
    attributes = reader.attributes() if learner["has_attributes"] else {}
    # Since 1.0 the objective's parameters lie among the attributes.
    configured = reader.document(attributes.pop("objective", "null"))
    base_score = learner["base_score"]
    if not learner["major_version"]:
        try:
            base_score = _from_margin(objective, base_score)
        except OverflowError as error:
            raise reader.error(f"a base score of {base_score:g} for {objective}") from error
    return {
        "learner": {
            "attributes": attributes,
            "feature_names": [],
            "feature_types": [],
            "gradient_booster": booster,
            "learner_model_param": {
                "base_score": repr(base_score),
                "boost_from_average": "1",
                "num_class": str(learner["classes"]),
                "num_feature": str(learner["features"]),
                "num_target": "1",
            },
            "objective": configured or _default_objective(objective, learner["classes"]),
        },
        "version": _VERSION,
    }


def _default_objective(name: str, classes: int) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name}
    for prefix, parameters in _OBJECTIVE_PARAMETERS.items():
        if name.startswith(prefix):
            found |= parameters
            break
    if "softmax_multiclass_param" in found:
        found["softmax_multiclass_param"] = {"num_class": str(classes)}
    return found


def _from_margin(objective: str, margin: float) -> float:
    """Before 1.0 the base score was saved as a margin; since then as a prediction."""
    if objective in ("binary:logistic", "reg:logistic"):
        return 1 / (1 + math.exp(-margin))
    if objective in ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox"):
        return math.exp(margin)
    return margin


def _booster(reader: _Reader, learner: dict[str, Any]) -> dict[str, Any]:
    name = learner["booster"]
    if name == "gblinear":
        reader.skip(_LINEAR_BYTES)
        weights = reader.vector("<f4")
        return {"model": {"boosted_rounds": 1, "weights": weights.tolist()}, "name": name}
    if name not in _BOOSTERS:
        raise reader.error(f"the booster is {name!r}, not gbtree, dart or gblinear")
    trees = _trees(reader, learner["features"])
    if name == "gbtree":
        return trees
    dropped = reader.vector("<f4") if trees["model"]["trees"] else np.zeros(0, "<f4")
    return {"gbtree": trees, "name": name, "weight_drop": dropped.tolist()}


def _trees(reader: _Reader, features: int) -> dict[str, Any]:
    start = reader.position
    count, parallel = reader.unpack("<ii")
    reader.position = start + _TREES_BYTES
    if not 0 <= count <= _MAX_TREES:
        raise reader.error(f"{count} trees", start)
    trees = [_tree(reader, number, features) for number in range(count)]
    groups = reader.array("<i4", count) if count else np.zeros(0, "<i4")
    return {
        "model": {
            "gbtree_model_param": {
                "num_parallel_tree": str(max(parallel, 1)),
                "num_trees": str(count),
                "size_leaf_vector": "0",
            },
            "tree_info": groups.tolist(),
            "trees": trees,
        },
        "name": "gbtree",
    }


def _tree(reader: _Reader, number: int, features: int) -> dict[str, Any]:
    start = reader.position
    _, nodes_count, deleted, _, _, leaf_vector = reader.unpack("<6i")
    reader.position = start + _TREE_BYTES
    nodes = reader.array(_NODE, nodes_count)
    stats = reader.array(_STAT, nodes_count)
    if leaf_vector:
        reader.vector("<f4")
    return {
        "base_weights": stats["weight"].tolist(),
        "categories": [],
        "categories_nodes": [],
        "categories_segments": [],
        "categories_sizes": [],
        "default_left": (nodes["split"] >> 31).tolist(),
        "id": number,
        "left_children": nodes["left"].tolist(),
        "loss_changes": stats["loss"].tolist(),
        "parents": (nodes["parent"] & _LOW_BITS).tolist(),
        "right_children": nodes["right"].tolist(),
        "split_conditions": nodes["value"].tolist(),
        "split_indices": (nodes["split"] & _LOW_BITS).tolist(),
        "split_type": [0] * nodes_count,
        "sum_hessian": stats["hessian"].tolist(),
        "tree_param": {
            "num_deleted": str(deleted),
            "num_feature": str(features),
            "num_nodes": str(nodes_count),
            "size_leaf_vector": "0",
        },
    }


class _Reader:
    """Reads one value after the other and never beyond the end."""

    def __init__(self, data: bytes, source: str) -> None:
        self._data = data
        self._source = source
        self.position = len(MAGIC) if data.startswith(MAGIC) else 0

    def error(self, problem: str, position: int | None = None) -> FormatError:
        """For here, or for another byte."""
        offset = self.position if position is None else position
        return FormatError(problem, source=self._source, offset=offset)

    def skip(self, size: int) -> None:
        self._take(size)

    def unpack(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(form, self._take(struct.calcsize(form)))

    def array(self, dtype: str | np.dtype[Any], count: int) -> NDArray[Any]:
        if count < 0:
            raise self.error(f"a length of {count}")
        kind = np.dtype(dtype)
        return np.frombuffer(self._take(count * kind.itemsize), kind)

    def vector(self, dtype: str) -> NDArray[Any]:
        (count,) = self.unpack("<Q")
        return self.array(dtype, count)

    def text(self) -> str:
        (size,) = self.unpack("<Q")
        if size > _MAX_NAME_BYTES:
            raise self.error(f"a text of {size} bytes")
        try:
            return self._take(size).decode()
        except UnicodeDecodeError as error:
            raise self.error("no text", self.position - size) from error

    def learner(self) -> dict[str, Any]:
        """The header: what the model is, and what follows it."""
        start = self.position
        base_score, features, classes, extra, _, major = self.unpack("<fIiiiI")
        self.position = start
        self.skip(_LEARNER_BYTES)
        objective, booster = self.text(), self.text()
        return {
            "base_score": base_score,
            "features": features,
            "classes": classes,
            "has_attributes": bool(extra),
            "major_version": major,
            "objective": objective,
            "booster": booster,
        }

    def attributes(self) -> dict[str, str]:
        (count,) = self.unpack("<Q")
        pairs = (len(self._data) - self.position) // 16
        if count > pairs:
            raise self.error(f"{count} attributes")
        return {self.text(): self.text() for _ in range(count)}

    def document(self, text: str) -> Any:
        """JSON in an attribute."""
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self.error(f"the objective is no JSON: {text[:40]!r}") from error

    def _take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self._data):
            raise self.error(
                f"{size} bytes are needed, and the file ends at byte {len(self._data)}"
            )
        part = self._data[self.position : end]
        self.position = end
        return part
