"""What batch_skipgram is made of: blocks, sums of steps, vocabulary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal_blazingtext.blocks import BlockTrainer, Parameters, Shape
from sagelocal_blazingtext.corpus import CHANNELS
from sagelocal_blazingtext.hyperparameters import TABLE
from sagelocal_blazingtext.scatter import add_rows
from sagelocal_blazingtext.vocabulary import END_OF_SENTENCE, Vocabulary, count_words, encode


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=30), st.floats(0.5, 100), st.integers(0, 99)
)
def test_steps_add_up_and_shrink_where_too_many_meet(
    places: list[int], most: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    steps = random.normal(size=(len(places), 3)).astype(np.float32)
    pairs = random.uniform(0.1, 5, len(places)).astype(np.float32)
    expected = np.zeros((7, 3))
    for row in set(places):
        mine = np.array(places) == row
        expected[row] = steps[mine].sum(axis=0) * min(1, most / pairs[mine].sum())

    matrix = np.zeros((7, 3), np.float32)
    add_rows(matrix, np.array(places, np.int64), steps, pairs, most)

    np.testing.assert_allclose(matrix, expected, rtol=1e-4, atol=1e-5)


class AlwaysWidest(np.random.Generator):
    """Draws no windows smaller than the largest, so that a step can be computed by hand."""

    def integers(self, low, high=None, size=None, **more):  # type: ignore[no-untyped-def,override]
        if high is not None and low == 1:
            return np.full(size, high - 1)
        return super().integers(low, high, size, **more)


@pytest.mark.parametrize("width", [1, 3, 4, 50])
@pytest.mark.parametrize("window", [1, 2, 5])
def test_a_step_is_that_of_negative_sampling_word_by_word(width: int, window: int) -> None:
    """The same gradient as pair by pair, whatever the blocks are, up to which samples are drawn."""
    words = np.array([0, 1, 2, 3, 1, 4, 0, 2, 5, 3, 3, 1], np.int64)
    sentences = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2], np.int64)
    random = np.random.default_rng(3)
    start = random.normal(size=(2, 7, 4)).astype(np.float32)
    parameters = Parameters(start[0].copy(), start[1].copy())
    # Every sample is the word 6, which is in no sentence: its draws are known.
    shape = Shape(width, window, samples=4, samples_per_pair=2)
    negatives = np.full(10, 6, np.int32)
    rate = 1e-3
    trainer = BlockTrainer(parameters, shape, negatives, AlwaysWidest(np.random.PCG64(0)))

    trainer.train(words, sentences, rate)

    centres, neighbours = np.zeros((7, 4)), np.zeros((7, 4))
    for i, centre in enumerate(words):
        for j, neighbour in enumerate(words):
            if i == j or abs(i - j) > window or sentences[i] != sentences[j]:
                continue
            for other, label, weight in ((neighbour, 1, 1), (6, 0, 2)):
                score = 1 / (1 + np.exp(-start[0, centre] @ start[1, other]))
                centres[centre] += rate * weight * (label - score) * start[1, other]
                neighbours[other] += rate * weight * (label - score) * start[0, centre]
    np.testing.assert_allclose(parameters.centres - start[0], centres, atol=2e-6)
    np.testing.assert_allclose(parameters.neighbours - start[1], neighbours, atol=2e-6)


def test_a_sample_that_is_the_neighbour_itself_does_not_count() -> None:
    parameters = Parameters(np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32))
    trainer = BlockTrainer(
        parameters, Shape(4, 1, 2, 5), np.array([1], np.int32), np.random.default_rng(0)
    )
    trainer.train(np.array([0, 1]), np.array([0, 0]), 0.1)

    # Word 0 has the neighbour 1, which no sample pushes away; word 1 has 0, and is pushed off 1.
    assert (parameters.neighbours[0] > 0).all()
    np.testing.assert_allclose(parameters.neighbours[1], 0.1 * (0.5 - 5 * 0.5), rtol=1e-5)


def test_words_are_counted_and_encoded_across_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "the cat\nthe  dog\tthe\n\ncät the end"
    (tmp_path / "text").write_text(text)
    for size in (1, 3, 4, 7, 1000):
        monkeypatch.setattr("sagelocal_blazingtext.vocabulary._CHUNK_BYTES", size)
        counted = count_words(tmp_path / "text")
        vocabulary = Vocabulary.of(counted, 1)
        encoded = encode(tmp_path / "text", vocabulary).tolist()
        spelled = [
            "." if place == END_OF_SENTENCE else vocabulary.words[place].decode()
            for place in encoded
        ]
        assert vocabulary.words[0] == b"the"
        assert vocabulary.counts.tolist() == [4, 1, 1, 1, 1]
        assert " ".join(spelled).replace(". .", ".") == "the cat . the dog the . cät the end ."


def test_frequent_words_are_thinned_out_and_drawn_less_than_they_occur() -> None:
    vocabulary = Vocabulary.of({b"often": 9900, b"seldom": 100}, 5)
    shares = vocabulary.kept_shares(1e-3)
    # sqrt(0.001 / 0.99) + 0.001 / 0.99
    assert shares.tolist() == pytest.approx([0.0327922, 0.4162278], rel=1e-5)
    drawn = np.bincount(vocabulary.negatives(10_000))
    assert drawn[0] / drawn[1] == pytest.approx(99**0.75, rel=0.01)


def test_the_readme_has_the_tables_of_the_declarations(family: Path) -> None:
    readme = (family / "README.md").read_text()
    assert TABLE.markdown() in readme
    assert CHANNELS.markdown() in readme
