"""Jobs that cannot be done: the failure names the channel, the file, the record or line, the step.

All of this is found before mxnet is loaded, but for images that break when they are decoded.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from sagelocal_formats.image_records import ImageRecord, write_image_records
from sagelocal_formats.recordio import write_record
from sagelocal_image_classification.channels import IMAGES, RECORDS
from sagelocal_image_classification.training import main
from sagelocal_train import Environment, UserError

if TYPE_CHECKING:
    from tests.containers.conftest import Job

IMAGE = IMAGES[0]
Draw = Callable[..., bytes]
Small = dict[str, Any]


def told(job: Job, **hyperparameters: object) -> str:
    """What a job says that is the user's fault; there is no model then."""
    environment = Environment.read(job.prepare(**hyperparameters))
    with pytest.raises(UserError) as caught:
        main(environment)
    assert list(environment.paths.model.glob("*")) == []
    return str(caught.value)


def rec_of(*images: ImageRecord) -> bytes:
    content = io.BytesIO()
    write_image_records(content, images)
    return content.getvalue()


def listed(job: Job, lines: str, files: dict[str, bytes], **more: str) -> Job:
    """Images with a list, to train on and the same to measure."""
    for name in ("train", "validation"):
        job.channel(name, dict(files), IMAGE, **more)
        job.channel(f"{name}_lst", {f"{name}.lst": lines}, IMAGE)
    return job


def test_a_broken_image_ends_the_job_with_2_and_names_its_record(
    job: Job, small: Small, draw: Draw, rec: Callable[..., bytes]
) -> None:
    images = [ImageRecord((float(n % 3),), draw(n % 3, n), n) for n in range(96)]
    images[40] = ImageRecord((0.0,), draw(0, 40)[:200], 40)
    job.channel("train", {"a/train.rec": rec_of(*images)}, RECORDS)
    ended = job.channel("validation", {"b.rec": rec(20)}, RECORDS).run(**small)

    assert ended.exit_code == 2, ended.log
    assert ended.failure.startswith(
        "ClientError: train/a/train.rec, record 41 is an image that cannot be decoded: the file of "
        "200 bytes is broken"
    )


def test_a_record_that_is_no_image_is_told(bars: Job, small: Small, draw: Draw) -> None:
    images = (ImageRecord((0.0,), draw(0, 1)), ImageRecord((1.0,), b"GIF89a..."))
    bars.channel("train", {"train.rec": rec_of(*images)}, RECORDS)
    assert told(bars, **small).startswith(
        "train/train.rec, record 2 is no image: it begins with b'GIF89a..'"
    )


@pytest.mark.parametrize("label", [3.0, -1.0, 0.5])
def test_a_label_out_of_range_is_told(bars: Job, small: Small, draw: Draw, label: float) -> None:
    images = (ImageRecord((0.0,), draw(0, 1)), ImageRecord((label,), draw(0, 2)))
    bars.channel("validation", {"validation.rec": rec_of(*images)}, RECORDS)
    text = told(bars, **small)
    assert text.startswith(f"validation/validation.rec, record 2: its label is {label:g}; with num")
    assert text.endswith("from 0 to 2. Number the classes from 0, or set num_classes")


def test_a_number_of_labels_other_than_num_classes_is_told(
    bars: Job, small: Small, draw: Draw
) -> None:
    bars.channel("train", {"train.rec": rec_of(ImageRecord((0.0, 1.0), draw(0, 1)))}, RECORDS)
    assert "record 1: Mismatch between number of labels in the multi-label data (2) and the " in (
        told(bars, **small, multi_label=1)
    )
    assert "it has 2 labels, and multi_label is 0" in told(bars, **small)


def test_an_unknown_label_format_is_told(bars: Job, small: Small) -> None:
    bars.channel("train", {}, f"{RECORDS};label-format=names")
    assert "label-format=names in its ContentType" in told(bars, **small)


@pytest.mark.parametrize("name", ["train", "validation"])
def test_an_empty_channel_is_told(bars: Job, small: Small, name: str) -> None:
    (bars.base / "input" / "data" / name / f"{name}.rec").write_bytes(b"")
    assert told(bars, **small).startswith(f"The channel {name!r} holds no images: ")
    (bars.base / "input" / "data" / name / f"{name}.rec").unlink()
    assert told(bars, **small).startswith(f"The channel {name!r} holds no images: ")


def test_other_files_than_records_are_told(bars: Job, small: Small, draw: Draw) -> None:
    (bars.base / "input" / "data" / "train" / "train.rec").unlink()
    bars.channel("train", {"a.png": draw(0, 0), "b.png": draw(1, 1)}, RECORDS)
    text = told(bars, **small)
    assert text.startswith("The channel 'train' holds no .rec file, but a.png and others.")
    assert "add the channel 'train_lst'" in text


def test_a_file_that_is_cut_off_is_told(bars: Job, small: Small, rec: Any) -> None:
    bars.channel("train", {"train.rec": rec(96)[:-100]}, RECORDS)
    assert "train/train.rec, byte " in told(bars, **small)


def test_an_image_that_is_too_small_is_told_with_what_resize_would_be(
    bars: Job, small: Small
) -> None:
    asked = small | {"image_shape": "3,28,24"}
    assert told(bars, **asked) == (
        "train/train.rec, record 1 has 12 x 12 pixels, which is less than image_shape 3,28,24 "
        "needs. Set resize to at least 28, or a smaller image_shape"
    )
    assert "12 x 12 pixels (20 x 20 after resize to 20)" in told(bars, **asked, resize=20)


def test_a_batch_larger_than_the_data_is_told(bars: Job, small: Small) -> None:
    asked = small | {"mini_batch_size": 100, "num_training_samples": 200}
    assert told(bars, **asked).startswith(
        "The number of input images must be bigger or equal to the mini_batch_size: the channel "
        "'train' holds 96, and mini_batch_size is 100"
    )


def test_a_pipe_on_several_instances_is_refused(job: Job, small: Small) -> None:
    for name in ("train", "validation"):
        job.channel(name, {}, RECORDS, TrainingInputMode="Pipe")
    resources = {"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]}
    config = job.base / "input" / "config" / "resourceconfig.json"
    config.write_text(json.dumps(resources))
    assert told(job, **small) == (
        "The job has 2 instances, and the channel 'train' is a pipe: Pipe mode trains on one "
        "instance. Set TrainingInputMode to 'File', or InstanceCount to 1"
    )


def test_a_file_of_the_list_that_is_not_there_is_told(job: Job, small: Small, draw: Draw) -> None:
    listed(job, "0\t0\ta/x.png\n1\t1\ta/y.png\n", {"a/x.png": draw(0, 0)})
    assert told(job, **small).startswith(
        "train_lst/train.lst, line 2 (train/a/y.png): there is no such file in the channel 'train'."
    )


def test_a_path_out_of_the_channel_is_not_followed(job: Job, small: Small, draw: Draw) -> None:
    listed(job, "0\t0\t../../config/hyperparameters.json\n", {"x.png": draw(0, 0)})
    assert "there is no such file in the channel 'train'" in told(job, **small)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("0 0 x.png\n", "line 1: 1 columns; index, at least one label and path"),
        ("0\tcat\tx.png\n", "line 1, column 2"),
        ("0\t7\tx.png\n", "line 1 (train/x.png): its label is 7; with num_classes 3"),
    ],
)
def test_a_line_of_the_list_that_is_none_is_told(
    job: Job, small: Small, draw: Draw, line: str, what: str
) -> None:
    text = told(listed(job, line, {"x.png": draw(0, 0)}), **small)
    assert text.startswith("train_lst/train.lst, ")
    assert what in text


def test_a_list_that_is_not_utf8_is_told(job: Job, small: Small, draw: Draw) -> None:
    listed(job, "", {"x.png": draw(0, 0)})
    lines = "0\t0\tx.png\n1\t1\tcaff\xe8.png\n".encode("latin-1")
    text = told(job.channel("train_lst", {"train.lst": lines}, IMAGE), **small)
    assert text.startswith("train_lst/train.lst, line 2: the byte 0xe8 is no UTF-8 text; save the")


def test_images_without_a_list_are_told(job: Job, small: Small, draw: Draw) -> None:
    for name in ("train", "validation"):
        job.channel(name, {"x.png": draw(0, 0)}, IMAGE)
    assert "there is no channel 'train_lst': add one with a .lst file" in told(job, **small)
    job.channel("train_lst", {"train.txt": "0\t0\tx.png\n"}, IMAGE)
    assert "The channel 'train_lst' holds no .lst file, but train.txt" in told(job, **small)


def test_missing_and_unknown_channels_are_told_together(job: Job, small: Small, rec: Any) -> None:
    job.channel("train", {"a.rec": rec(3)}, RECORDS).channel("test", {"a.rec": rec(3)}, RECORDS)
    text = told(job, **small)
    assert "'validation' is a required channel" in text
    assert "Channel 'test' is unknown to this algorithm" in text


def test_a_content_type_that_is_not_read_is_told(bars: Job, small: Small) -> None:
    bars.channel("train", {}, "text/csv")
    assert "Channel 'train' has ContentType 'text/csv'" in told(bars, **small)


def _piped(job: Job, content: bytes, content_type: str) -> Job:
    """A channel in Pipe mode; a file does for a pipe that is read once."""
    job.channel("train", {}, content_type, TrainingInputMode="Pipe", RecordWrapperType="RecordIO")
    (job.base / "input" / "data" / "train_0").write_bytes(content)
    return job


@pytest.mark.parametrize("content_type", [IMAGE, RECORDS])
def test_a_manifest_with_its_attributes_in_the_wrong_order_is_told(
    bars: Job, small: Small, draw: Draw, content_type: str
) -> None:
    content = io.BytesIO()
    write_record(content, b"1", split_at_magic=False)
    write_record(content, draw(1, 1), split_at_magic=False)
    text = told(_piped(bars, content.getvalue(), content_type), **small)
    assert text.startswith("train (pipe), line 1 is no image: it begins with b'1'")
    assert 'Set AttributeNames to ["source-ref", "class"], in this order' in text


@pytest.mark.parametrize("images", [1, 2])
def test_a_manifest_without_labels_is_told(
    bars: Job, small: Small, draw: Draw, images: int
) -> None:
    content = io.BytesIO()
    for number in range(images):
        write_record(content, draw(1, number), split_at_magic=False)
    text = told(_piped(bars, content.getvalue(), RECORDS), **small)
    assert text == (
        "train (pipe), line 1 has an image and no label. Set AttributeNames to "
        '["source-ref", "class"], in this order'
    )


def test_a_label_of_a_manifest_that_is_no_number_is_told(
    bars: Job, small: Small, draw: Draw
) -> None:
    content = io.BytesIO()
    for record in (draw(1, 1), b"1", draw(2, 2), b'"cat"'):
        write_record(content, record, split_at_magic=False)
    text = told(_piped(bars, content.getvalue(), RECORDS), **small)
    assert text == (
        "train (pipe), line 2: its label is '\"cat\"'; a number or a list of numbers is needed"
    )
