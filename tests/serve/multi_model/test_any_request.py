"""Whatever is asked of a server of many models, it refuses in good order and serves on."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
LOADS = st.fixed_dictionaries({}, optional={"model_name": JSON, "url": JSON}) | JSON
BODIES = st.binary(max_size=200) | LOADS.map(lambda document: json.dumps(document).encode())
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)

common = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def _refused_well(answer: Any) -> None:
    assert 400 <= answer.status < 500, (answer.status, answer.body)
    body = json.loads(answer.body)
    assert set(body) == {"code", "type", "message"}
    assert "/opt" not in body["message"]
    assert "Traceback" not in body["message"]


@common
@given(BODIES)
def test_any_load_of_no_model_is_the_callers_fault(many: Any, body: bytes) -> None:
    _refused_well(many.server.request("POST", "/models", body))


@pytest.mark.parametrize("url", ["/" + "a" * 300, "/" + "a" * 70_000, "/a" * 3000])
def test_a_url_longer_than_any_path_is_no_folder(many: Any, url: str) -> None:
    answer = many.post("/models", {"model_name": "long", "url": url})
    _refused_well(answer)
    assert answer.status == 404
    assert len(answer.body) < 400


@common
@given(st.sampled_from(["GET", "DELETE", "POST", "PUT"]), WORDS, st.binary(max_size=50))
def test_any_name_that_is_not_loaded_is_the_callers_fault(
    many: Any, method: str, name: str, body: bytes
) -> None:
    invoke = "/invoke" if method == "POST" else ""
    path = f"/models/{quote(name, safe='')}{invoke}"
    if path != "/models/":
        _refused_well(many.server.request(method, path, body))


@common
@given(st.dictionaries(st.sampled_from(["limit", "next_page_token", "other"]), WORDS))
def test_any_question_for_a_page_is_answered_or_refused(
    many: Any, parameters: dict[str, str]
) -> None:
    query = "&".join(f"{key}={quote(value)}" for key, value in parameters.items())
    answer = many.get(f"/models?{query}")
    if answer.status == 200:
        assert json.loads(answer.body) == {"models": []}
    else:
        _refused_well(answer)


def test_it_serves_on_after_all_that(many: Any) -> None:
    many.make_and_load("iris")
    assert many.answer("iris") == "iris says hello"
