"""Jobs that cannot be done: the failure file names the channel, the file, the line and the step."""

from __future__ import annotations

import gzip
import signal
from typing import TYPE_CHECKING

import pytest
from sagelocal_blazingtext.training import main
from sagelocal_train import Environment, UserError

if TYPE_CHECKING:
    from tests.containers.conftest import Job

GOOD = "__label__a some words here\n__label__b other words there\n" * 10
SMALL = {"mode": "supervised", "buckets": 100, "vector_dim": 4, "min_count": 1}
WORDS = {"mode": "batch_skipgram", "vector_dim": 4}


def told(job: Job, **hyperparameters: object) -> str:
    """What a job says that is the user's fault; there is no model then."""
    environment = Environment.read(job.prepare(**hyperparameters))
    with pytest.raises(UserError) as caught:
        main(environment)
    assert list(environment.paths.model.glob("*")) == []
    return str(caught.value)


def test_a_job_that_cannot_be_done_ends_with_2_and_a_failure_file(job: Job) -> None:
    ended = job.channel("train", {"a": "no label"}).run(**SMALL)

    assert ended.exit_code == 2, ended.log
    assert ended.failure.startswith("ClientError: train/a, line 1 has no label: 'no label'")


@pytest.mark.parametrize("content", [{}, {"empty": ""}, {"blank": "\n \n"}])
@pytest.mark.parametrize("settings", [SMALL, WORDS], ids=["supervised", "batch_skipgram"])
def test_an_empty_channel_is_told(
    job: Job, content: dict[str, str], settings: dict[str, object]
) -> None:
    text = told(job.channel("train", content), **settings)

    assert "The channel 'train' holds no data" in text
    assert "S3Uri" in text


def test_a_missing_channel_is_told(job: Job) -> None:
    assert "'train' is a required channel" in told(job.channel("validation", {"a": GOOD}), **SMALL)


def test_an_unknown_channel_is_told(job: Job) -> None:
    job.channel("train", {"a": GOOD}).channel("test", {"a": GOOD})
    assert "Channel 'test' is unknown" in told(job, **SMALL)


def test_a_compressed_file_is_told(job: Job) -> None:
    text = told(job.channel("train", {"a.gz": gzip.compress(GOOD.encode())}), **SMALL)

    assert text.startswith("train/a.gz is compressed (gzip), not text: upload it uncompressed")


def test_a_line_without_a_label_is_told_with_file_and_line(job: Job) -> None:
    job.channel("train", {"part/a.train": GOOD, "part/b.train": GOOD + "no label in this one\n"})
    text = told(job, **SMALL)

    assert "train/part/b.train, line 21 has no label: 'no label in this one'" in text
    assert "__label__" in text


@pytest.mark.parametrize("settings", [SMALL, WORDS], ids=["supervised", "batch_skipgram"])
def test_text_that_is_not_utf8_is_told_with_file_and_line(
    job: Job, settings: dict[str, object]
) -> None:
    latin = "__label__a caffè\n".encode("latin-1")
    text = told(job.channel("train", {"a": GOOD, "b": GOOD.encode() + latin}), **settings)

    assert "train/b, line 21 is not UTF-8 text: it has the byte 0xe8" in text
    assert "iconv" in text


@pytest.mark.parametrize("mode", ["supervised", "skipgram", "cbow", "batch_skipgram"])
def test_a_min_count_that_leaves_no_words_is_told(job: Job, mode: str) -> None:
    job.channel("train", {"a": GOOD})
    text = told(job, **{**SMALL, "mode": mode, "min_count": 100})

    assert "No word of the channel 'train' occurs 100 times or more" in text


@pytest.mark.parametrize(
    ("hyperparameters", "words"),
    [
        ({"mode": "superwised"}, ["'superwised' is not one of", "'batch_skipgram'"]),
        ({}, ["'mode' is a required property"]),
        ({**SMALL, "word_ngram": 2}, ["'word_ngram' was unexpected", "did you mean"]),
        ({**SMALL, "epochs": "many", "learning_rate": 0}, ["'many'", "'epochs'", "greater than 0"]),
        ({**WORDS, "subwords": True}, ["'subwords' is true", "'skipgram' or 'cbow'"]),
        ({"mode": "cbow", "min_char": 7}, ["'min_char' is 7 and 'max_char' is 6"]),
        ({**SMALL, "early_stopping": True}, ["no channel 'validation'"]),
    ],
)
def test_wrong_hyperparameters_are_told(
    job: Job, hyperparameters: dict[str, object], words: list[str]
) -> None:
    text = told(job.channel("train", {"a": GOOD}), **hyperparameters)

    for word in words:
        assert word in text


def test_what_tuning_adds_is_accepted(job: Job) -> None:
    job.channel("train", {"a": GOOD})
    ended = job.run(**SMALL, epochs=1, _tuning_objective_metric="validation:accuracy")
    assert ended.exit_code == 0, ended.log


def test_labels_that_training_does_not_know_are_told(job: Job) -> None:
    job.channel("train", {"a": GOOD}).channel("validation", {"a": "__label__z words\n"})
    with pytest.raises(UserError, match="No line of the channel 'validation' has a label"):
        main(Environment.read(job.prepare(**SMALL)))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"source": "a"}', 'has no "label"'),
        ('{"source": 1, "label": 1}', 'has no text "source"'),
        ('{"source": "a", "label": []}', "empty list of labels"),
        ('{"source": "a", "label": {"x": 1}}', "has the label {'x': 1}"),
        ('{"source": "a", "label": "two words"}', "with a space in it"),
        ("{", "is not JSON"),
    ],
)
def test_a_wrong_line_of_a_manifest_is_told(job: Job, line: str, words: str) -> None:
    good = '{"source": "some words", "label": 1}\n'
    job.channel("train", {"m.jsonl": good + line}, "application/jsonlines")
    text = told(job, **SMALL)

    assert "train/m.jsonl, line 2" in text
    assert words in text


def test_a_judgement_that_is_none_is_told(job: Job) -> None:
    job.channel("train", {"a": GOOD}).channel("evaluation", {"pairs.txt": "some words\n"})
    with pytest.raises(UserError, match=r"evaluation/pairs\.txt, line 1 is not `word word number`"):
        main(Environment.read(job.prepare(**WORDS)))


@pytest.mark.parametrize("mode", ["supervised", "batch_skipgram"])
def test_a_job_that_is_stopped_ends_at_once(job: Job, mode: str) -> None:
    job.channel("train", {"a": GOOD * 2000})
    process = job.start(**{**SMALL, "mode": mode, "epochs": 100_000, "window_size": 1})
    assert process.stdout is not None
    for line in process.stdout:
        if "##### Alpha" in line:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert process.returncode == 128 + signal.SIGTERM
    assert not (job.base / "output" / "failure").exists()
