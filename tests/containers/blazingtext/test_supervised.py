"""Text classification: the job's log, metrics and artifact, against fastText itself."""

from __future__ import annotations

import io
import json
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import fasttext
import numpy as np
import pytest
from sagelocal_blazingtext import library
from sagelocal_blazingtext.corpus import Corpus
from sagelocal_blazingtext.early_stopping import Matrices
from sagelocal_blazingtext.encoded_lines import encode, hash_of
from sagelocal_blazingtext.settings import Settings
from sagelocal_formats.recordio import write_record

if TYPE_CHECKING:
    from tests.containers.conftest import Ended, Job

SMALL = {"mode": "supervised", "buckets": 5000, "vector_dim": 10, "min_count": 1}
Labelled = Callable[..., str]


def test_the_log_has_the_accuracies_in_the_originals_lines(job: Job, labelled: Labelled) -> None:
    job.channel("train", {"a.train": labelled(600)})
    ended = job.channel("validation", {"a.validation": labelled(200, 1)}).run(**SMALL, epochs=10)

    assert ended.exit_code == 0, ended.log
    assert "Running single machine CPU BlazingText training using supervised mode." in ended.log
    for line in (
        r"Processing \S+/input/data/train/a\.train \. File size: \S+ MB",
        r"Number of words:  \d+",
        r"##### Alpha: 0\.\d{4}  Progress: \d+\.\d\d%  Million Words/sec: \d+\.\d\d #####",
        r"Training finished\.",
        r"Average throughput in Million words/sec: \d+\.\d\d",
        r"Total training time in seconds: \d+\.\d\d",
        r"#train_accuracy: 0\.\d{4}",
        r"Number of train examples: 600",
        r"#validation_accuracy: 0\.\d{4}",
        r"Number of validation examples: 200",
    ):
        assert re.search(rf"^.*{line}$", ended.log, re.MULTILINE), line


def test_model_bin_is_fasttexts(job: Job, labelled: Labelled) -> None:
    ended = job.channel("train", {"a": labelled(500)}).run(**SMALL, epochs=10, learning_rate=0.3)

    assert [path.name for path in ended.model_dir.iterdir()] == ["model.bin"]
    model = fasttext.load_model(str(ended.model_dir / "model.bin"))
    assert sorted(model.labels) == [f"__label__topic{topic}" for topic in range(4)]
    assert model.f.getArgs().wordNgrams == 2
    assert model.predict("t2w1 t2w2 t2w3 common1")[0] == ("__label__topic2",)


@pytest.mark.parametrize("early", [False, True])
def test_it_is_as_accurate_as_fasttext_of_the_same_settings(
    job: Job, labelled: Labelled, tmp_path: Path, early: bool
) -> None:
    train, validation = labelled(4000), labelled(4000, 1)
    files = {name: tmp_path / name for name in ("train", "validation")}
    files["train"].write_text(train)
    files["validation"].write_text(validation)
    theirs = fasttext.train_supervised(
        str(files["train"]), lr=0.1, dim=10, epoch=10, wordNgrams=2, bucket=5000, verbose=0
    ).test(str(files["validation"]))[1]

    job.channel("train", {"a": train}).channel("validation", {"a": validation})
    ended = job.run(**SMALL, epochs=10, learning_rate=0.1, early_stopping=early, patience=10)

    assert ended.exit_code == 0, ended.log
    assert theirs > 0.85
    # The accuracy of the best epoch is still better; this is that of the last one.
    said = re.findall(r"[vV]alidation[ _]accuracy: (\S+)", ended.log)
    assert float(said[-2 if early else -1]) == pytest.approx(theirs, abs=0.005)


def test_training_stops_early_and_keeps_the_best_epoch(
    job: Job, labelled: Labelled, metric: Callable[[str, str], float]
) -> None:
    job.channel("train", {"a": labelled(300)}).channel("validation", {"a": labelled(300, 1)})
    ended = job.run(
        **SMALL, epochs=60, early_stopping=True, patience=2, min_epochs=3, learning_rate=0.5
    )

    assert ended.exit_code == 0, ended.log
    epochs = [int(number) for number in re.findall(r"End of epoch: (\d+)", ended.log)]
    accuracies = [float(text) for text in re.findall(r"Validation accuracy: (\S+)", ended.log)]
    assert epochs == list(range(1, len(accuracies) + 1))
    assert 3 <= len(epochs) < 60
    assert "Validation accuracy improved! Storing best weights..." in ended.log
    assert max(accuracies[-2:]) <= max(accuracies[:-2])
    assert metric(ended.log, "validation_accuracy") == pytest.approx(max(accuracies), abs=1e-4)
    # fastText only counts words here, and says nothing of a loss.
    assert "Number of words:" in ended.log
    assert "nan" not in ended.log


def test_it_does_not_stop_before_min_epochs(job: Job, labelled: Labelled) -> None:
    same = labelled(50)
    job.channel("train", {"a": same}).channel("validation", {"a": same})
    ended = job.run(
        **SMALL, epochs=9, early_stopping=True, patience=1, min_epochs=7, learning_rate=1
    )

    assert re.findall(r"End of epoch: (\d+)", ended.log)[-1] == "7", ended.log


def test_lines_are_encoded_as_fasttext_encodes_them(tmp_path: Path) -> None:
    text = (
        "__label__a the cät sat on the mat\n__label__b __label__a dogs\nsat  the\tcät __label__b\n"
    )
    path = tmp_path / "text"
    path.write_text(text)
    settings = Settings("supervised", word_ngrams=3, buckets=97, vector_dim=6, min_count=2)
    model = library.untrained(Corpus(path, "text", len(text)), settings)
    matrix = Matrices.of(model).features
    matrix[:] = np.random.default_rng(0).normal(size=matrix.shape)

    lines = encode(path, model, 3, 97)

    for number, line in enumerate(text.splitlines()):
        rows = lines.features[lines.starts[number] : lines.starts[number + 1]]
        words = " ".join(word for word in line.split() if not word.startswith("__label__"))
        expected = model.get_sentence_vector(words)
        np.testing.assert_allclose(matrix[rows].mean(axis=0), expected, rtol=1e-5)
    labels = model.get_labels()
    assert [{labels[i] for i in those} for those in lines.labels] == [
        {"__label__a"},
        {"__label__a", "__label__b"},
        {"__label__b"},
    ]


def test_the_hash_is_signed() -> None:
    assert hash_of(b"") == 2166136261 - (1 << 32)
    assert -(1 << 31) <= hash_of("größer".encode()) < 1 << 31


def test_a_line_may_have_several_labels_and_a_channel_several_files(
    job: Job, labelled: Labelled
) -> None:
    more = "".join(
        f"__label__both{line.removeprefix('__label__')}"
        for line in labelled(100, 3).splitlines(keepends=True)
    )
    job.channel("train", {"a/1": labelled(300), "b/2": f"\n{more}", "c": "\n\n", "d": ""})
    ended = job.run(**SMALL, epochs=2)

    assert ended.exit_code == 0, ended.log
    assert "Number of train examples: 400" in ended.log


def manifest_of(text: str, label: Callable[[str], object]) -> list[dict[str, object]]:
    lines = [line.split(" ", 1) for line in text.splitlines()]
    return [{"source": source, "label": label(first)} for first, source in lines]


def number_of(label: str) -> int:
    return int(label[-1])


def test_a_manifest_is_read_in_file_mode(job: Job, labelled: Labelled) -> None:
    entries = manifest_of(labelled(300), number_of)
    entries[0]["label"] = [1, "3"]
    lines = "".join(json.dumps(entry) + "\n" for entry in entries)
    ended = job.channel("train", {"a.jsonl": lines}, content_type=None).run(**SMALL, epochs=5)

    assert ended.exit_code == 0, ended.log
    model = fasttext.load_model(str(ended.model_dir / "model.bin"))
    assert sorted(model.labels) == [f"__label__{number}" for number in range(4)]


def piped(job: Job, content: bytes, **hyperparameters: object) -> Ended:
    """Run a job whose channel `train` is a pipe."""
    job.channel("train", {}, TrainingInputMode="Pipe", RecordWrapperType="RecordIO")
    pipe = job.base / "input" / "data" / "train_0"
    os.mkfifo(pipe)

    def feed() -> None:
        with pipe.open("wb") as stream:
            stream.write(content)

    feeder = threading.Thread(target=feed)
    feeder.start()
    ended = job.run(**hyperparameters)
    feeder.join()
    return ended


def test_an_augmented_manifest_is_read_in_pipe_mode(job: Job, labelled: Labelled) -> None:
    stream = io.BytesIO()
    for entry in manifest_of(labelled(300), number_of):
        write_record(stream, str(entry["source"]).encode(), split_at_magic=False)
        write_record(stream, json.dumps(entry["label"]).encode(), split_at_magic=False)
    ended = piped(job, stream.getvalue(), **SMALL, epochs=5, learning_rate=0.3)

    assert ended.exit_code == 0, ended.log
    assert "Number of train examples: 300" in ended.log
    model = fasttext.load_model(str(ended.model_dir / "model.bin"))
    assert model.predict("t3w1 t3w2 t3w3")[0] == ("__label__3",)


def test_plain_text_is_read_in_pipe_mode(job: Job, labelled: Labelled) -> None:
    ended = piped(job, labelled(300).encode(), **SMALL, epochs=2)

    assert ended.exit_code == 0, ended.log
    assert "Number of train examples: 300" in ended.log


def test_a_source_without_a_label_is_told(job: Job) -> None:
    stream = io.BytesIO()
    for record in (b"first text", b"1", b"second text"):
        write_record(stream, record, split_at_magic=False)
    ended = piped(job, stream.getvalue(), **SMALL)

    assert ended.exit_code == 2
    assert "train (pipe), record 2 of the manifest has a source and no label" in ended.failure
    assert "AttributeNames" in ended.failure
