"""The table of hyperparameters: the original's words, its ranges and its rules."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from sagelocal_train.specification import Algorithm
from sagelocal_xgboost import metrics
from sagelocal_xgboost.channels import CHANNELS
from sagelocal_xgboost.declarations import UserError
from sagelocal_xgboost.hyperparameters import OBJECTIVES, TABLE, library_parameters
from sagelocal_xgboost.metrics import METRICS
from sagelocal_xgboost.plan import Plan

ROUNDS = {"num_round": "10"}


def _problems(**given: str) -> list[str]:
    with pytest.raises(UserError) as raised:
        TABLE.validate(ROUNDS | given)
    return str(raised.value).splitlines()


def test_a_missing_hyperparameter_is_said() -> None:
    with pytest.raises(UserError, match=r"^Missing required hyperparameter: num_round$"):
        TABLE.validate({})


def test_an_unknown_hyperparameter_is_said_with_the_one_that_was_meant() -> None:
    assert _problems(max_dept="3") == [
        "Extraneous hyperparameter found: max_dept. Did you mean 'max_depth'?"
    ]
    assert _problems(zzz="1") == ["Extraneous hyperparameter found: zzz"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("eta", "1.5", "value 1.5 not in range [0, 1]"),
        ("subsample", "0", "value 0.0 not in range (0, 1]"),
        ("gamma", "-1", "value -1.0 not in range [0, +inf)"),
        ("tweedie_variance_power", "2", "value 2.0 not in range (1, 2)"),
        ("seed", "2147483647", "value 2147483647 not in range (-2147483648, 2147483647)"),
        ("max_depth", "-3", "value -3 not in range [0, +inf)"),
        ("booster", "tree", "value tree not in range ['gbtree', 'gblinear', 'dart']"),
        ("monotone_constraints", "(2, 0)", "value (2, 0) not in range [-1, 0, 1]"),
        ("interaction_constraints", "[[0, 1]]", "value [[0, 1]] not in range [1, +inf)"),
    ],
)
def test_a_value_out_of_range_is_said_with_the_range(name: str, text: str, said: str) -> None:
    assert _problems(**{name: text}) == [f"Hyperparameter {name}: {said}"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("eta", "fast"),
        ("max_depth", "3.5"),
        ("max_depth", ""),
        ("monotone_constraints", "__import__('os').getcwd()"),
        ("monotone_constraints", "()"),
        ("interaction_constraints", "[1, 2]"),
        ("interaction_constraints", "[[1.5]]"),
    ],
)
def test_a_value_that_cannot_be_read_is_said(name: str, text: str) -> None:
    (said,) = _problems(**{name: text})
    assert said.startswith(f"Hyperparameter {name}: could not parse value")


@pytest.mark.parametrize("metric", ["accuracies", "rmse@3", "ndcg@x", "auc rmse", ""])
def test_an_unknown_metric_is_said(metric: str) -> None:
    (said,) = _problems(eval_metric=metric)
    assert said.startswith(f"Hyperparameter eval_metric: value ['{metric}'] not in range ['acc")


@pytest.mark.parametrize("metric", ["error@0.7", "ndcg@5", "map@3", "rmse,mae", "f1, accuracy"])
def test_metrics_may_have_a_threshold_and_come_in_lists(metric: str) -> None:
    assert TABLE.validate(ROUNDS | {"eval_metric": metric})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"objective": "multi:softmax"}, "Require input for parameter 'num_class'"),
        ({"num_class": "3"}, "Do not need to setup parameter 'num_class'"),
        ({"objective": "reg:gamma", "eval_metric": "auc"}, "Metric 'auc' can only be applied"),
        ({"eval_metric": "aft-nloglik"}, "Metric 'aft-nloglik' can only be applied"),
        ({"monotone_constraints": "(1, 0)"}, "monotone_constraints can be used only when"),
        (
            {"interaction_constraints": "[[1, 2]]", "tree_method": "auto"},
            "interaction_constraints can be used only when",
        ),
        ({"booster": "gblinear", "updater": "prune"}, "Linear updater should be one of"),
        (
            {"process_type": "update", "updater": "grow_colmaker"},
            "process_type 'update' can only be used with updater 'refresh' and 'prune'",
        ),
        ({"updater": "shotgun"}, "Tree updater should be selected from"),
        ({"updater": "grow_colmaker,distcol"}, "Only one tree grow plugin can be selected"),
        ({"tree_method": "gpu_hist"}, "need a GPU, which this image does not use"),
        ({"_num_cv_round": "2"}, "set _kfold to its number of folds"),
    ],
)
def test_rules_over_several_are_said(given: dict[str, str], said: str) -> None:
    (problem,) = _problems(**given)
    assert said in problem


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert len(_problems(eta="2", gamma="x", etaa="1", num_class="3")) == 4


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("learning_rate", "eta"),
        ("min_split_loss", "gamma"),
        ("reg_lambda", "lambda"),
        ("reg_alpha", "alpha"),
    ],
)
def test_aliases_mean_the_same(alias: str, name: str) -> None:
    values = TABLE.validate(ROUNDS | {alias: "0.5"})
    assert library_parameters(values) == {name: 0.5}


def test_the_library_gets_what_was_given_and_no_defaults() -> None:
    given = {
        "max_depth": "4",
        "eval_metric": "rmse",
        "objective": "reg:linear",
        "monotone_constraints": "(1, 0, -1)",
        "tree_method": "hist",
        "predictor": "cpu_predictor",
        "_kfold": "3",
    }
    assert library_parameters(TABLE.validate(ROUNDS | given)) == {
        "max_depth": 4,
        "objective": "reg:squarederror",
        "monotone_constraints": "(1,0,-1)",
        "tree_method": "hist",
    }


def _plan(**given: str) -> Plan:
    return Plan.of(TABLE.validate(ROUNDS | given), 2)


def test_a_tuning_jobs_objective_is_printed_and_decides_on_stopping() -> None:
    plan = _plan(
        objective="binary:logistic",
        eval_metric="logloss,f1",
        _tuning_objective_metric="validation:auc",
    )
    assert plan.parameters["eval_metric"] == ["logloss", "auc"]
    assert (plan.custom_metrics, plan.last_metric) == (("f1",), "auc")


def test_threads_are_the_machines_unless_they_are_given() -> None:
    assert _plan().parameters["nthread"] == 2
    assert _plan(nthread="1").parameters["nthread"] == 1


def test_image_toml_has_the_metrics_that_the_log_has(family: Path) -> None:
    image = tomllib.loads((family / "image.toml").read_text())
    expected = {entry["Name"]: entry["Regex"] for entry in METRICS.definitions()}
    assert image["metrics"] == expected


def test_a_metric_is_found_in_a_line_as_cloudwatch_shows_it() -> None:
    line = "[7]#011train-rmse:8.10312#011validation-rmse:9.25000#011validation-mae:7.50000"
    found = {name: metric.find(line) for name, metric in METRICS.metrics.items()}
    assert {name: value for name, value in found.items() if value is not None} == {
        "train:rmse": 8.10312,
        "validation:rmse": 9.25,
        "validation:mae": 7.5,
    }


def test_the_algorithm_is_told_to_create_algorithm() -> None:
    algorithm = Algorithm(TABLE, CHANNELS, METRICS, distributed=True)
    specification: dict[str, Any] = algorithm.training_specification("image", ["ml.m5.large"])
    tunable = {h["Name"] for h in specification["SupportedHyperParameters"] if h["IsTunable"]}
    assert {"eta", "max_depth", "num_round", "alpha", "lambda"} <= tunable
    goals = specification["SupportedTuningJobObjectiveMetrics"]
    assert {"Type": "Maximize", "MetricName": "validation:auc"} in goals
    assert len(goals) == len(metrics.NAMES)


def test_the_readme_has_the_tables_of_the_declarations(family: Path) -> None:
    readme = (family / "README.md").read_text()
    assert TABLE.markdown() in readme
    assert CHANNELS.markdown() in readme
    assert all(f"`{name}`" in readme for name in metrics.NAMES)


def test_every_name_of_the_original_is_there() -> None:
    # And `silent`, which `xgboost:latest` and `xgboost:1`, version 0.72, take in many notebooks.
    assert len(TABLE.declarations) == 53 + 1
    assert set(re.findall(r"[a-z]+:", " ".join(OBJECTIVES))) == {
        *("binary:", "count:", "multi:", "rank:", "reg:", "survival:")
    }
