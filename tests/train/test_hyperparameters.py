"""Declared hyperparameters: what is taken, what is refused and in which words, what is exported."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st
from sagelocal_train.channels import (
    ChannelDeclaration,
    Channels,
    media_parameters,
    media_type,
)
from sagelocal_train.config import Channel
from sagelocal_train.errors import UserError
from sagelocal_train.hyperparameters import (
    AUTO,
    FIRST_PARTY_HIDDEN,
    Boolean,
    Categorical,
    Check,
    Float,
    Hyperparameters,
    Integer,
    Text,
    Tunable,
    Values,
    as_text,
)
from sagelocal_train.metrics import PROGRESS, THROUGHPUT, Metric, Metrics
from sagelocal_train.paths import Paths
from sagelocal_train.specification import Algorithm

NO_SCHEMA = "is not valid under any of the given schemas"


def _classes_are_needed(values: Values) -> str | None:
    if values["predictor_type"] == "multiclass_classifier" and values["num_classes"] is None:
        return "'num_classes' is a required property of a multiclass_classifier"
    return None


TABLE = Hyperparameters(
    Categorical(
        "predictor_type",
        ["regressor", "binary_classifier", "multiclass_classifier"],
        required=True,
        help="What is learnt | from what.",
    ),
    Integer("num_classes", minimum=3, maximum=1_000_000),
    Integer("mini_batch_size", minimum=1, default=1000, tunable=Tunable(100, 5000)),
    Integer("feature_dim", minimum=1, auto=True, default=AUTO),
    Float("wd", minimum=0, auto=True, default=AUTO, tunable=Tunable(1e-7, 1)),
    Float("quantile", above=0, below=1, default=0.5, aliases=["quantil_e"]),
    Float("weight", above=0, also=("balanced", AUTO), default=1.0, tunable=Tunable(1e-5, 1e5)),
    Boolean("use_bias", default=True, tunable=True),
    Boolean("normalize_label", auto=True, default=AUTO),
    Text("tag", pattern="[a-z]+", expected="lower-case letters"),
    checks=[Check(("predictor_type", "num_classes"), _classes_are_needed)],
)


def _violations(**raw: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        TABLE.validate(raw)
    return str(caught.value).splitlines()


def test_defaults_are_filled_in() -> None:
    values = TABLE.validate({"predictor_type": "regressor", "mini_batch_size": "4"})

    assert dict(values) == {
        "predictor_type": "regressor",
        "num_classes": None,
        "mini_batch_size": 4,
        "feature_dim": "auto",
        "wd": "auto",
        "quantile": 0.5,
        "weight": 1.0,
        "use_bias": True,
        "normalize_label": "auto",
        "tag": None,
    }
    assert values.given == {"predictor_type", "mini_batch_size"}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("mini_batch_size", "1", 1),
        ("mini_batch_size", " 12 ", 12),
        ("feature_dim", "auto", "auto"),
        ("wd", "0", 0.0),
        ("wd", "1e-3", 0.001),
        ("wd", ".5", 0.5),
        ("weight", "balanced", "balanced"),
        ("use_bias", "True", True),
        ("use_bias", "false", False),
        ("normalize_label", "Auto", "auto"),
        ("tag", "abc", "abc"),
        ("quantil_e", "0.25", None),
    ],
)
def test_a_value_is_read_from_its_text(name: str, text: str, value: Any) -> None:
    values = TABLE.validate({"predictor_type": "regressor", name: text})

    assert values["quantile" if value is None else name] == (0.25 if value is None else value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("mini_batch_size", "0", f"'0' {NO_SCHEMA}: 'mini_batch_size' must be an integer of at"),
        ("mini_batch_size", "4.0", f"'4.0' {NO_SCHEMA}"),
        ("mini_batch_size", "auto", f"'auto' {NO_SCHEMA}"),
        ("mini_batch_size", "", f"'' {NO_SCHEMA}"),
        ("num_classes", "2", "must be an integer of at least 3 and at most 1,000,000"),
        ("quantile", "1", "must be a number greater than 0 and less than 1"),
        ("quantile", "nan", f"'nan' {NO_SCHEMA}"),
        ("wd", "inf", f"'inf' {NO_SCHEMA}"),
        ("wd", "1e999", f"'1e999' {NO_SCHEMA}"),
        ("wd", "-0.1", "'wd' must be 'auto' or a number of at least 0"),
        ("use_bias", "1", "'1' is not one of ['true', 'false']"),
        ("predictor_type", "regression", "'regression' is not one of ['regressor', "),
        ("tag", "ABC", "'ABC' does not match '[a-z]+': 'tag' must be lower-case letters"),
    ],
)
def test_a_wrong_value_is_refused_in_json_schemas_words(name: str, text: str, words: str) -> None:
    raw = {"predictor_type": "regressor"} | {name: text}

    (violation,) = _violations(**raw)

    assert words in violation
    assert repr(name) in violation


def test_all_violations_come_at_once() -> None:
    assert _violations(mini_batch_siz="4", feature_dim="abc", use_bias="maybe") == [
        "4 hyperparameters are not valid.",
        "'predictor_type' is a required property: "
        "set it to 'regressor', 'binary_classifier' or 'multiclass_classifier'",
        f"'abc' {NO_SCHEMA}: 'feature_dim' must be 'auto' or an integer of at least 1",
        "'maybe' is not one of ['true', 'false']: 'use_bias' must be 'true' or 'false'",
        "Additional properties are not allowed ('mini_batch_siz' was unexpected): "
        "did you mean 'mini_batch_size'?",
    ]


def test_several_unknown_names_are_one_violation() -> None:
    (violation,) = _violations(predictor_type="regressor", xyzzy="1", plugh="2")

    assert violation.startswith(
        "Additional properties are not allowed ('xyzzy', 'plugh' were unexpected). Allowed are: "
    )


@pytest.mark.parametrize("name", sorted(FIRST_PARTY_HIDDEN))
def test_hidden_names_are_accepted(name: str) -> None:
    assert name not in TABLE.validate({"predictor_type": "regressor", name: "anything"})


def test_a_rule_over_several_is_checked() -> None:
    assert _violations(predictor_type="multiclass_classifier") == [
        "'num_classes' is a required property of a multiclass_classifier"
    ]


def test_a_rule_is_not_asked_about_values_that_are_wrong_by_themselves() -> None:
    (violation,) = _violations(predictor_type="multiclass_classifier", num_classes="2")

    assert "must be an integer" in violation


def test_a_name_and_its_alias_together_are_refused() -> None:
    (violation,) = _violations(predictor_type="regressor", quantile="0.5", quantil_e="0.4")

    assert violation == "'quantile' and 'quantil_e' are the same: give one of them"


def test_typed_getters_give_what_was_declared() -> None:
    values = TABLE.validate({"predictor_type": "regressor", "wd": "0.5", "feature_dim": "3"})

    assert values.text("predictor_type") == "regressor"
    assert (values.integer("mini_batch_size"), values.integer_or_auto("feature_dim")) == (1000, 3)
    assert (values.number("quantile"), values.number_or_auto("wd")) == (0.5, 0.5)
    assert (values.flag("use_bias"), values.flag_or_auto("normalize_label")) == (True, "auto")
    with pytest.raises(TypeError, match="'num_classes' is None, not an integer"):
        values.integer("num_classes")
    with pytest.raises(TypeError, match="'use_bias' is True, not a number"):
        values.number("use_bias")


@given(st.integers(min_value=1))
def test_integers_come_back_from_their_text(number: int) -> None:
    assert Integer("n", minimum=1).parse(as_text(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back_from_their_text(number: float) -> None:
    assert Float("x").parse(as_text(number)) == number


@given(st.dictionaries(st.sampled_from([*TABLE.declarations, "other", "_kvstore"]), st.text()))
def test_any_request_is_either_valid_or_a_user_error(raw: dict[str, str]) -> None:
    with suppress(UserError):
        assert set(TABLE.validate(raw)) == set(TABLE.declarations)


def test_a_name_declared_twice_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        Hyperparameters(Integer("a"), Float("a"))


def test_a_check_of_an_undeclared_name_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="undeclared hyperparameters: \\['b'\\]"):
        Hyperparameters(Integer("a"), checks=[Check(("a", "b"), lambda values: None)])


def test_the_table_of_a_readme() -> None:
    lines = TABLE.markdown().splitlines()

    assert lines[2] == (
        "| `predictor_type` | yes | 'regressor', 'binary_classifier' or 'multiclass_classifier' "
        "|  | What is learnt \\| from what. |"
    )
    assert lines[4] == "| `mini_batch_size` |  | an integer of at least 1 | `1000` |  |"
    assert len(lines) == 2 + len(TABLE.declarations)


CHANNELS = Channels(
    ChannelDeclaration(
        "train",
        required=True,
        content_types=("text/csv", "application/x-recordio-protobuf"),
        help="Rows.",
    ),
    ChannelDeclaration("code", input_modes=("File",)),
)
METRICS = Metrics(
    Metric(*PROGRESS),
    Metric(*THROUGHPUT),
    Metric("validation:mse", r"validation mse <loss>=(\S+)", goal="Minimize"),
)


def _channel(name: str, content_type: str | None = None, mode: str = "File") -> Channel:
    return Channel(name, Paths().channel(name), content_type, mode)


def test_the_specification_is_one_that_create_algorithm_takes() -> None:
    algorithm = Algorithm(TABLE, CHANNELS, METRICS, distributed=True)

    specification = algorithm.training_specification("image:1", ["ml.m5.xlarge"])

    model = botocore.session.get_session().get_service_model("sagemaker")
    shape = model.operation_model("CreateAlgorithm").input_shape
    assert shape is not None
    report = ParamValidator().validate(
        {"AlgorithmName": "a", "TrainingSpecification": specification}, shape
    )
    assert not report.has_errors(), report.generate_report()
    by_name = {entry["Name"]: entry for entry in specification["SupportedHyperParameters"]}
    assert by_name["wd"] == {
        "Name": "wd",
        "Type": "Continuous",
        "IsTunable": True,
        "IsRequired": False,
        "Range": {"ContinuousParameterRangeSpecification": {"MinValue": "0.0", "MaxValue": "1.0"}},
    }
    assert by_name["feature_dim"]["Type"] == "FreeText"
    assert specification["SupportedTuningJobObjectiveMetrics"] == [
        {"Type": "Minimize", "MetricName": "validation:mse"}
    ]


def test_channels_that_fit_are_accepted() -> None:
    CHANNELS.validate({"train": _channel("train", "text/csv; label_size=1", "FastFile")})


def test_all_that_is_wrong_with_channels_comes_at_once() -> None:
    with pytest.raises(UserError) as caught:
        CHANNELS.validate({"code": _channel("code", mode="Pipe"), "trian": _channel("trian")})

    assert str(caught.value).splitlines() == [
        "'train' is a required channel: add it to the job's InputDataConfig "
        "(given: 'code' or 'trian')",
        "Channel 'code' has TrainingInputMode 'Pipe', which this algorithm does not read: "
        "use 'File'",
        "Channel 'trian' is unknown to this algorithm: use 'train' or 'code'",
    ]


def test_a_content_type_that_is_not_read_is_refused_with_those_that_are() -> None:
    with pytest.raises(UserError, match=r"has ContentType 'image/png', .*use 'text/csv' or 'app"):
        CHANNELS.validate({"train": _channel("train", "image/png")})


def test_a_channel_without_content_type_is_read_as_the_first() -> None:
    declared = CHANNELS.declarations["train"]

    assert declared.content_type(_channel("train")) == "text/csv"


def test_media_types_are_taken_apart() -> None:
    assert media_type("Text/CSV; label_size=0") == "text/csv"
    assert media_parameters('text/csv; label_size=0;charset="utf-8"') == {
        "label_size": "0",
        "charset": "utf-8",
    }


def test_channels_and_metrics_declared_twice_are_mistakes() -> None:
    with pytest.raises(ValueError, match="a channel is declared twice"):
        Channels(ChannelDeclaration("a"), ChannelDeclaration("a"))
    with pytest.raises(ValueError, match="a metric is declared twice"):
        Metrics(Metric("a", "(.)"), Metric("a", "(.)"))
    with pytest.raises(ValueError, match="has no group"):
        Metric("a", "no group")


def test_the_channels_table_of_a_readme() -> None:
    assert CHANNELS.markdown().splitlines()[2] == (
        "| `train` | yes | `text/csv`, `application/x-recordio-protobuf` | File, FastFile | Rows. |"
    )
