"""Word vectors: what they know, the files they are written to, and their evaluation."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fasttext
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal_blazingtext.similarity import spearman
from sagelocal_blazingtext.training import main
from sagelocal_blazingtext.word_vectors import (
    VectorsError,
    WordVectors,
    read_binary,
    read_text,
    write_binary,
    write_text,
)
from sagelocal_train import Environment

if TYPE_CHECKING:
    from tests.containers.conftest import Job

ReadVectors = Callable[[Path], dict[str, list[float]]]
FoundShare = Callable[[Mapping[str, Any]], float]
TINY = "the cat sat\nthe dog sat\nthe cat ran\n" * 20


@pytest.mark.parametrize(
    "settings",
    [
        {"mode": "batch_skipgram"},
        {"mode": "batch_skipgram", "batch_size": 3, "window_size": 7},
        {"mode": "batch_skipgram", "batch_size": 200, "learning_rate": 0.025},
        {"mode": "skipgram"},
        {"mode": "cbow"},
    ],
    ids=["batch_skipgram", "narrow blocks", "wide blocks", "skipgram", "cbow"],
)
def test_planted_neighbours_are_found(
    job: Job,
    planted: str,
    read_vectors: ReadVectors,
    found_share: FoundShare,
    settings: dict[str, object],
) -> None:
    job.channel("train", {"text": planted})
    ended = job.run(**{"vector_dim": 24, "epochs": 6, "sampling_threshold": 0.001, **settings})

    assert ended.exit_code == 0, ended.log
    vectors = read_vectors(ended.model_dir / "vectors.txt")
    assert found_share(vectors) > 0.9
    assert re.search(r"##### Alpha: 0\.0000  Progress: 100\.00%", ended.log)


def test_batch_skipgram_finds_as_much_as_fasttexts_skipgram(
    job: Job, planted: str, read_vectors: ReadVectors, found_share: FoundShare, tmp_path: Path
) -> None:
    text = "\n".join(planted.splitlines()[:2500])
    path = tmp_path / "text"
    path.write_text(text)
    model = fasttext.train_unsupervised(
        str(path), "skipgram", dim=24, epoch=6, t=0.001, maxn=0, verbose=0
    )
    theirs = found_share({word: model.get_word_vector(word) for word in model.words})

    job.channel("train", {"text": text})
    ended = job.run(mode="batch_skipgram", vector_dim=24, epochs=6, sampling_threshold=0.001)

    ours = found_share(read_vectors(ended.model_dir / "vectors.txt"))
    assert ours > theirs - 0.05


def test_vectors_are_written_by_frequency_and_in_both_forms(
    job: Job, read_vectors: ReadVectors
) -> None:
    for mode in ("batch_skipgram", "skipgram"):
        ended = job.channel("train", {"text": TINY}).run(mode=mode, vector_dim=5)

        assert ended.exit_code == 0, ended.log
        names = sorted(path.name for path in ended.model_dir.iterdir())
        assert names == ["eval.json", "vectors.bin", "vectors.txt"]
        vectors = read_vectors(ended.model_dir / "vectors.txt")
        words = list(vectors)
        assert words[0] == "the"
        assert set(words[1:3]) == {"cat", "sat"}
        assert set(words[3:]) == {"dog", "ran"}
        binary = read_binary(ended.model_dir / "vectors.bin")
        assert binary.words == words
        np.testing.assert_allclose(binary.matrix, list(vectors.values()), rtol=1e-5)


def test_subwords_give_unknown_words_a_vector(job: Job, read_vectors: ReadVectors) -> None:
    job.channel("train", {"text": TINY})
    ended = job.run(
        mode="skipgram", vector_dim=5, subwords=True, buckets=500, min_char=2, max_char=4
    )

    assert ended.exit_code == 0, ended.log
    model = fasttext.load_model(str(ended.model_dir / "vectors.bin"))
    assert (model.f.getArgs().minn, model.f.getArgs().maxn) == (2, 4)
    assert np.abs(model.get_word_vector("cats")).max() > 0
    vectors = read_vectors(ended.model_dir / "vectors.txt")
    np.testing.assert_allclose(model.get_word_vector("cat"), vectors["cat"], rtol=1e-4)


def test_words_are_compared_with_the_judgements_of_the_channel_evaluation(
    job: Job, metric: Callable[[str, str], float]
) -> None:
    judgements = "# a comment\nCat\tdog\t9.5\nsat\tran\t8\nthe\tcat\t1.0\nthe\tnowhere\t2\n"
    job.channel("train", {"text": TINY}).channel("evaluation", {"EN-WS-353-ALL.txt": judgements})
    ended = job.run(mode="batch_skipgram", vector_dim=10, epochs=20)

    assert ended.exit_code == 0, ended.log
    document = json.loads((ended.model_dir / "eval.json").read_text())
    entry = document["EN-WS-353-ALL.txt"]
    assert (entry["not_found"], entry["total_pairs"]) == (1, 4)
    assert -1 <= entry["spearmans_rho"] <= 1
    assert document["mean_rho"] == entry["spearmans_rho"]
    assert metric(ended.log, "mean_rho") == document["mean_rho"]


def test_without_judgements_the_log_says_why_there_is_no_mean_rho(job: Job) -> None:
    ended = job.channel("train", {"text": TINY}).run(mode="batch_skipgram", vector_dim=5)

    assert ended.exit_code == 0
    assert "the channel 'evaluation'" in ended.log
    assert "#mean_rho: " not in ended.log
    assert json.loads((ended.model_dir / "eval.json").read_text()) == {"mean_rho": None}


def test_there_is_no_evaluation_where_none_is_wanted(job: Job) -> None:
    ended = job.channel("train", {"text": TINY}).run(
        mode="batch_skipgram", vector_dim=5, evaluation=False
    )

    assert sorted(path.name for path in ended.model_dir.iterdir()) == ["vectors.bin", "vectors.txt"]


@pytest.mark.parametrize("text", ["a\n", "a a a\n", "a b\n", "a\nb\n" * 9, "a " * 5000 + "\n"])
def test_the_smallest_texts_have_vectors(job: Job, read_vectors: ReadVectors, text: str) -> None:
    environment = Environment.read(
        job.channel("train", {"text": text}).prepare(
            mode="batch_skipgram", vector_dim=3, min_count=1, sampling_threshold=1
        )
    )
    main(environment)

    vectors = read_vectors(environment.paths.model / "vectors.txt")
    assert set(vectors) == set(text.split())
    assert np.isfinite(list(vectors.values())).all()


def test_spearmans_rho_is_that_of_the_textbooks() -> None:
    # The example of Kendall and Gibbons with ties, as scipy computes it.
    assert spearman([1, 2, 3, 4, 5], [5, 6, 7, 8, 7]) == pytest.approx(0.8207826816681233)
    assert spearman([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert spearman([1, 1], [1, 2]) is None
    assert spearman([1], [1]) is None


WORDS = st.lists(
    st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=5),
    min_size=1,
    max_size=6,
    unique=True,
)


@given(WORDS, st.integers(1, 4), st.randoms(use_true_random=False))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], dimensions: int, random: Any
) -> None:
    folder = tmp_path_factory.mktemp("vectors")
    matrix = np.array(
        [[random.uniform(-9, 9) for _ in range(dimensions)] for _ in words], np.float32
    )
    vectors = WordVectors(words, matrix)
    write_text(vectors, folder / "vectors.txt")
    write_binary(vectors, folder / "vectors.bin")

    as_text, as_binary = read_text(folder / "vectors.txt"), read_binary(folder / "vectors.bin")

    assert as_text.words == as_binary.words == words
    np.testing.assert_allclose(as_text.matrix, matrix, rtol=1e-5)
    np.testing.assert_array_equal(as_binary.matrix, matrix)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "begins with b''"),
        (b"\x00\x01 native", "instead of the numbers"),
        (b"2 1\nword 0.5\n", "vectors"),
        (b"99999999 300\nword 0.5\n", "too short"),
        (b"1 2\nword 0.5\n", "vectors"),
    ],
)
@pytest.mark.parametrize("reader", [read_text, read_binary])
def test_files_that_are_no_vectors_are_told(
    tmp_path: Path, content: bytes, words: str, reader: Callable[[Path], WordVectors]
) -> None:
    path = tmp_path / "vectors"
    path.write_bytes(content)
    with pytest.raises(VectorsError, match=re.escape(words)):
        reader(path)


def test_the_binary_form_is_word2vecs(tmp_path: Path) -> None:
    write_binary(WordVectors(["a"], np.array([[0.5, -2]], np.float32)), tmp_path / "v")
    assert (tmp_path / "v").read_bytes() == b"1 2\na " + struct.pack("<ff", 0.5, -2) + b"\n"
