"""Endpoints of BlazingText: answers in the original's shapes, from models of any origin."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fasttext
import numpy as np
import pytest
from sagelocal_blazingtext.word_vectors import WordVectors, write_binary, write_text

if TYPE_CHECKING:
    from tests.containers.conftest import Answer, Server

JSON = "application/json"
Serve = Callable[[Path], "Server"]
LINES = "__label__good nice fine happy day\n__label__bad awful sad rainy night\n" * 50
VECTORS = WordVectors(["queen", "king"], np.array([[0.5, -0.25], [1.0, 2.0]], np.float32))


def lines_of(answer: Answer) -> list[Any]:
    """The values of a body of JSON Lines."""
    return [json.loads(line) for line in answer.body.splitlines()]


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    return folder


def classifier(folder: Path) -> Any:
    """A model that fastText itself has trained."""
    text = folder.parent / "text"
    text.write_text(LINES)
    return fasttext.train_supervised(
        str(text), dim=5, epoch=20, lr=0.5, wordNgrams=2, bucket=300, minCount=1, verbose=0
    )


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> Server:
    """An endpoint with a model of fastText's."""
    folder = tmp_path_factory.mktemp("texts") / "model"
    folder.mkdir()
    classifier(folder).save_model(str(folder / "model.bin"))
    return serve(folder.parent)


def test_json_gets_a_list_of_labels_and_probabilities(texts: Server) -> None:
    answer = texts.invoke('{"instances": ["nice happy day", "awful\\nnight"]}', JSON)

    assert (answer.status, answer.content_type) == (200, "application/json")
    assert [sorted(entry) for entry in answer.json] == [["label", "prob"]] * 2
    assert [entry["label"] for entry in answer.json] == [["__label__good"], ["__label__bad"]]
    assert all(0.5 < entry["prob"][0] <= 1 for entry in answer.json)


def test_k_gives_as_many_labels_as_there_are(texts: Server) -> None:
    body = '{"instances": ["nice day"], "configuration": {"k": %d}}'
    for k, labels in ((1, 1), (2, 2), (9, 2)):
        [entry] = texts.invoke(body % k, JSON).json
        assert len(entry["label"]) == len(entry["prob"]) == labels
        assert entry["prob"] == sorted(entry["prob"], reverse=True)
    assert entry["label"] == ["__label__good", "__label__bad"]
    assert sum(entry["prob"]) == pytest.approx(1, abs=1e-3)


def test_json_lines_are_answered_by_lines(texts: Server) -> None:
    body = '{"source": "nice day", "k": 2}\n\n{"source": "sad night"}\n'
    answer = texts.invoke(body, "application/jsonlines")

    assert (answer.status, answer.content_type) == (200, "application/jsonlines")
    assert [entry["label"][0] for entry in lines_of(answer)] == ["__label__good", "__label__bad"]
    assert [len(entry["label"]) for entry in lines_of(answer)] == [2, 1]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [('{"instances": ["nice"]}', "application/json"), ('{"source": "a"}', "application/jsonlines")],
)
def test_an_accept_that_is_not_the_content_type_is_ignored(
    texts: Server, body: str, content_type: str
) -> None:
    expected = texts.invoke(body, content_type)
    assert (expected.status, expected.content_type) == (200, content_type)
    for accept in ("application/json", "application/jsonlines", "text/csv", "*/*"):
        assert texts.invoke(body, content_type, accept) == expected


def test_plain_text_is_a_text_to_a_line(texts: Server) -> None:
    answer = texts.invoke("nice happy day\nsad night\n", "text/plain")

    assert [entry["label"] for entry in answer.json] == [["__label__good"], ["__label__bad"]]


def test_a_client_that_names_no_type_sends_json(texts: Server) -> None:
    body = b'{"instances": ["nice"]}'
    for content_type in ("application/octet-stream", "application/json; charset=utf-8"):
        assert texts.invoke(body, content_type).json[0]["label"] == ["__label__good"]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "words"),
    [
        ('{"instances": "nice"}', "application/json", 400, "no list of instances"),
        ('["nice"]', "application/json", 400, "no list of instances"),
        ('{"instances": []}', "application/json", 400, "empty"),
        ('{"instances": [3]}', "application/json", 400, "Instance 1 is '3', not a text"),
        ('{"instances": ["a"], "configuration": {"k": 0}}', "application/json", 400, "0"),
        ('{"instances": ["a"], "configuration": {"k": "2"}}', "application/json", 400, "'2'"),
        ('{"instances": ["a"], "configuration": [1]}', "application/json", 400, "no object"),
        ('{"instances": [', "application/json", 400, "line 1, column"),
        ('{"source": "a"}\n{"text": "b"}', "application/jsonlines", 400, "Record 2 has no source"),
        ('{"source": 5}', "application/jsonlines", 400, "Record 1's source is '5'"),
        (b"\xff\xfe", "application/json", 400, "byte 0 is 0xff"),
        (b"", "application/json", 400, "empty body"),
        ("\n", "text/plain", 400, "no lines"),
        ("1,2", "text/csv", 415, "text/csv"),
    ],
)
def test_a_wrong_request_is_told(
    texts: Server, body: bytes | str, content_type: str, status: int, words: str
) -> None:
    answer = texts.invoke(body, content_type)

    assert answer.status == status
    assert words in answer.json["message"]


@pytest.mark.parametrize("form", ["both", "text", "of the original"])
def test_words_get_their_vectors_and_unknown_ones_zeros(
    model_dir: Path, serve: Serve, form: str
) -> None:
    write_text(VECTORS, model_dir / "vectors.txt")
    if form == "both":
        write_binary(VECTORS, model_dir / "vectors.bin")
    if form == "of the original":  # whose form is not public
        (model_dir / "vectors.bin").write_bytes(b"\x16\x00\x00\x00\x02\x00\x00\x00native")
        (model_dir / "eval.json").write_text("{}")
    answer = serve(model_dir.parent).invoke('{"instances": ["king", "nobody"]}', JSON)

    assert answer.json == [
        {"vector": [1.0, 2.0], "word": "king"},
        {"vector": [0.0, 0.0], "word": "nobody"},
    ]


def test_fasttexts_subwords_answer_for_unknown_words(model_dir: Path, serve: Serve) -> None:
    text = model_dir.parent / "text"
    text.write_text("the cat sat on the mat\n" * 50)
    model = fasttext.train_unsupervised(
        str(text), dim=4, minn=2, maxn=3, bucket=100, epoch=1, verbose=0
    )
    model.save_model(str(model_dir / "vectors.bin"))
    answer = serve(model_dir.parent).invoke('{"source": "cats"}', "application/jsonlines")

    [entry] = lines_of(answer)
    assert entry["word"] == "cats"
    np.testing.assert_allclose(entry["vector"], model.get_word_vector("cats"), rtol=1e-6)
    assert any(entry["vector"])


def test_a_quantized_model_of_any_name_is_served(model_dir: Path, serve: Serve) -> None:
    model = classifier(model_dir)
    model.quantize()
    (model_dir / "deep").mkdir()
    model.save_model(str(model_dir / "deep" / "sentiment.ftz"))

    answer = serve(model_dir.parent).invoke('{"instances": ["sad night"]}', JSON)

    assert answer.json[0]["label"] == ["__label__bad"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("weights.h5", b"hdf5", "it holds weights.h5"),
        ("model.bin", b"not fastText's", "model.bin is no fastText model"),
        ("vectors.bin", b"nor word2vec's", "there is no vectors.txt to read instead"),
    ],
)
def test_what_cannot_be_served_is_told(
    model_dir: Path, serve: Serve, name: str, content: bytes, words: str
) -> None:
    (model_dir / name).write_bytes(content)
    answer = serve(model_dir.parent).invoke('{"instances": ["a"]}', JSON)

    assert answer.status == 500
    assert words in answer.json["message"]
