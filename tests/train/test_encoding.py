"""The encodings of hyperparameters, against the training toolkit's documented rules."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal_train import encoding

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("true", True),
        ("True", "True"),
        ("[1,2]", [1, 2]),
        ("1e-3", 0.001),
        ("007", "007"),
        ('"007"', "007"),
        ("null", None),
        ("", ""),
        ("s3://bucket/key", "s3://bucket/key"),
    ],
)
def test_a_value_is_json_if_it_can_be(text: str, value: Any) -> None:
    decoded = encoding.decode_value(text)

    assert value == decoded
    assert type(value) is type(decoded)


def test_nan_is_a_number() -> None:
    assert math.isnan(encoding.decode_value("NaN"))


@given(JSON_VALUES)
def test_what_a_framework_estimator_encodes_comes_back(value: Any) -> None:
    assert value == encoding.decode_value(json.dumps(value))


@given(st.text())
def test_no_text_is_too_odd_to_decode(text: str) -> None:
    decoded = encoding.decode_value(text)

    assert text == decoded or repr(json.loads(text)) == repr(decoded)


@given(JSON_VALUES.filter(lambda value: value is not None and not isinstance(value, str)))
def test_a_variable_holds_compact_ascii_json(value: Any) -> None:
    text = encoding.encode_value(value)

    assert text.isascii()
    assert value == json.loads(text)
    assert json.dumps(value, sort_keys=True, separators=(",", ":")) == text


@given(st.text())
def test_a_text_is_its_own_variable(text: str) -> None:
    assert text == encoding.encode_value(text)


def test_names_are_only_upper_cased() -> None:
    assert encoding.variables({"hp_learning-rate": 0.1, "a": None}) == {
        "SM_HP_LEARNING-RATE": "0.1",
        "SM_A": "",
    }


@given(st.dictionaries(st.text(min_size=1), JSON_VALUES))
def test_every_name_gives_one_option_and_one_value(values: dict[str, Any]) -> None:
    arguments = encoding.arguments(values)

    assert [name.lstrip("-") for name in sorted(values)] == [
        option.lstrip("-") for option in arguments[::2]
    ]
    assert all(isinstance(argument, str) for argument in arguments)
    assert 2 * len(values) == len(arguments)


def test_arguments_have_the_forms_that_scripts_parse() -> None:
    values = {"b": True, "alpha": None, "map": {"k2": 2, "k": 1}, "list": [1, "a"], "n": 0.5}

    assert [
        *("--alpha", "", "-b", "True", "--list", "[1, 'a']", "--map", "k=1,k2=2", "-n", "0.5")
    ] == encoding.arguments(values)
