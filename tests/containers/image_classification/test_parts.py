"""The parts that need no mxnet: hyperparameters, labels, beginnings of images, when to stop."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image
from sagelocal_image_classification.channels import CHANNELS
from sagelocal_image_classification.figures import Figures
from sagelocal_image_classification.hyperparameters import TABLE, Settings, settings_of
from sagelocal_image_classification.labels import Labels, WrongLabel, of_json
from sagelocal_image_classification.pictures import NoPicture, size_of
from sagelocal_image_classification.progress import Progress
from sagelocal_train import UserError

REQUIRED = {"num_classes": "10", "num_training_samples": "100"}


def settings(**more: object) -> Settings:
    return settings_of(TABLE.validate(REQUIRED | {k: str(v) for k, v in more.items()}))


def test_the_readme_has_the_tables_of_the_declarations(family: Path) -> None:
    readme = (family / "README.md").read_text()
    assert TABLE.markdown() in readme
    assert CHANNELS.markdown() in readme


def test_defaults_are_those_of_the_developer_guide() -> None:
    found = settings()
    assert (found.num_layers, found.image_shape) == (152, (3, 224, 224))
    assert (found.optimizer, found.learning_rate, found.momentum) == ("sgd", 0.1, 0.9)
    assert (found.epochs, found.mini_batch_size, found.weight_decay) == (30, 32, 0.0001)
    assert (found.early_stopping_min_epochs, found.early_stopping_patience) == (10, 5)
    assert (found.checkpoint_frequency, found.resize, found.top_k) == (None, None, None)
    assert not any((found.multi_label, found.use_pretrained_model, found.use_weighted_loss))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"num_layers": 19}, "'num_layers' must be '18', '34'"),
        ({"image_shape": "3,224"}, "'image_shape' must be channels (1 or 3), height and width"),
        ({"image_shape": "2,28,28"}, "'image_shape' must be channels (1 or 3)"),
        ({"top_k": 1}, "'top_k' must be an integer of at least 2"),
        ({"top_k": 11}, "'top_k' is 11 and 'num_classes' is 10"),
        ({"epochs": 3, "checkpoint_frequency": 4}, "'checkpoint_frequency' is 4 and 'epochs' is 3"),
        ({"mini_batch_size": 101}, "The number of input images must be bigger or equal to the"),
        ({"lr_scheduler_step": "20,10"}, "the epochs must rise"),
        ({"lr_scheduler_step": "10;20"}, "epochs in rising order"),
        ({"num_layers": 20, "use_pretrained_model": 1}, "pretrained networks have 18, 34"),
        ({"optimizer": "adagrad"}, "'optimizer' must be 'sgd', 'adam', 'rmsprop' or 'nag'"),
        ({"augmentation_type": "flip"}, "'crop', 'crop_color' or 'crop_color_transform'"),
        ({"learning_rate": 2}, "'learning_rate' must be"),
        ({"minibatch_size": 2}, "did you mean 'mini_batch_size'?"),
    ],
)
def test_a_hyperparameter_that_cannot_be_is_told(given: dict[str, object], told: str) -> None:
    with pytest.raises(UserError) as caught:
        settings(**given)
    assert told in str(caught.value)


def test_one_class_alone_needs_several_labels() -> None:
    with pytest.raises(UserError, match="at least 2 classes"):
        settings(num_classes=1)
    assert settings(num_classes=1, multi_label=1).multi_label


@examples(deadline=None)  # The first image loads Pillow's plugins.
@given(st.sampled_from(["PNG", "JPEG"]), st.integers(1, 300), st.integers(1, 300), st.booleans())
def test_the_size_of_an_image_is_read_from_its_beginning(
    kind: str, width: int, height: int, is_grey: bool
) -> None:
    content = io.BytesIO()
    Image.new("L" if is_grey else "RGB", (width, height)).save(content, kind)
    assert size_of(content.getvalue()) == (width, height)


def test_a_jpeg_with_comments_and_a_progressive_one_have_their_size_too() -> None:
    content = io.BytesIO()
    picture = Image.new("RGB", (40, 30))
    picture.save(content, "JPEG", progressive=True, comment=b"x" * 500, dpi=(72, 72))
    assert size_of(content.getvalue()) == (40, 30)


@given(st.binary(max_size=60))
def test_any_bytes_have_a_size_or_are_no_picture(data: bytes) -> None:
    for start in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"):
        try:
            found = size_of(start + data)
        except NoPicture:
            continue
        assert found is None or len(found) == 2


def test_what_is_no_picture_is_told_by_its_beginning(draw: Callable[..., bytes]) -> None:
    with pytest.raises(NoPicture, match="empty"):
        size_of(b"")
    with pytest.raises(NoPicture, match=r"begins with b'<html>'"):
        size_of(b"<html>")
    with pytest.raises(NoPicture, match="ends after 12 bytes"):
        size_of(draw(0, 0)[:12])


def test_labels_of_one_class_are_whole_numbers_from_0() -> None:
    labels = Labels(3)
    assert labels.read((2.0,)) == (2.0,)
    for wrong in ((3.0,), (-1.0,), (0.5,), (float("nan"),)):
        with pytest.raises(WrongLabel, match="whole numbers from 0 to 2"):
            labels.read(wrong)
    with pytest.raises(WrongLabel, match="set multi_label to 1"):
        labels.read((0.0, 1.0))


def test_several_labels_are_read_in_both_formats() -> None:
    assert Labels(3, True).read((0.0, 1.0, 1.0)) == (0, 1, 1)
    assert Labels(3, True, "class-id").read((2.0, 1.0)) == (0, 1, 1)
    assert Labels(3, True, "class-id").read(()) == (0, 0, 0)
    with pytest.raises(WrongLabel, match=r"multi-label data \(2\) and the num_classes.* \(3\)"):
        Labels(3, True).read((0.0, 1.0))
    with pytest.raises(WrongLabel, match="a 0 or 1 belongs"):
        Labels(3, True).read((0.0, 1.0, 2.0))
    with pytest.raises(WrongLabel, match="from 0 to 2"):
        Labels(3, True, "class-id").read((3.0,))


@given(st.lists(st.integers(0, 9), min_size=1))
def test_classes_by_number_are_the_same_as_by_0_and_1(classes: list[int]) -> None:
    found = Labels(10, True, "class-id").read([float(c) for c in classes])
    assert {n for n, value in enumerate(found) if value} == set(classes)
    assert Labels(10, True).read(found) == found


@pytest.mark.parametrize(
    ("text", "numbers"),
    [(b"1", (1,)), (b'"1"', (1,)), (b"[0, 1]", (0, 1)), (b'"[0, 1]"', (0, 1)), (b"2.0", (2,))],
)
def test_labels_of_manifests_are_numbers_lists_or_texts_of_them(
    text: bytes, numbers: tuple[float, ...]
) -> None:
    assert of_json(text) == numbers


@pytest.mark.parametrize("text", [b"cat", b'"cat"', b"{}", b"[]", b'["a"]', b"\xff\xfe", b"null"])
def test_other_labels_of_manifests_are_told(text: bytes) -> None:
    with pytest.raises(WrongLabel, match="a number or a list of numbers is needed"):
        of_json(text)


def test_the_first_of_the_best_epochs_is_kept() -> None:
    progress = Progress(settings())
    assert [progress.add(a) for a in (0.2, 0.5, 0.5, 0.4, 0.6)] == [True, True, False, False, True]
    assert not progress.is_over


@pytest.mark.parametrize(
    ("accuracies", "more", "stops_after"),
    [
        ([0.5] * 9, {"early_stopping_min_epochs": 2, "early_stopping_patience": 3}, 4),
        ([0.5] * 9, {"early_stopping_min_epochs": 6, "early_stopping_patience": 3}, 6),
        ([0.1 * n for n in range(1, 10)], {"early_stopping_min_epochs": 1}, None),
        (
            [0.5, 0.52, 0.54, 0.56, 0.58],
            {
                "early_stopping_min_epochs": 1,
                "early_stopping_patience": 2,
                "early_stopping_tolerance": 0.5,
            },
            3,
        ),
    ],
)
def test_early_stopping_waits_for_its_epochs_and_its_patience(
    accuracies: list[float], more: dict[str, object], stops_after: int | None
) -> None:
    progress = Progress(settings(early_stopping="True", **more))
    without = Progress(replace(progress.settings, early_stopping=False))
    stopped = None
    for number, accuracy in enumerate(accuracies, 1):
        progress.add(accuracy)
        without.add(accuracy)
        assert not without.is_over
        if progress.is_over:
            stopped = number
            break
    assert stopped == stops_after


def test_figures_are_shares_of_what_was_right() -> None:
    figures = Figures(multi_label=False, top_k=2)
    answers = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.2, 0.5, 0.3]], np.float32)
    figures.add(answers, np.array([0, 1, 0], np.float32))
    assert figures.named() == {
        "accuracy": pytest.approx(1 / 3),
        "top_k_accuracy_2": pytest.approx(2 / 3),
    }
    several = Figures(multi_label=True)
    several.add(answers[:2], np.array([[1, 1, 0], [0, 0, 1]], np.float32))
    assert several.named() == {"accuracy": pytest.approx(5 / 6)}


def test_numbers_that_are_not_finite_are_noticed() -> None:
    figures = Figures(multi_label=False)
    figures.add(np.array([[0.5, 0.5]], np.float32), np.array([0]))
    assert figures.is_finite
    figures.add(np.array([[np.nan, 0.5]], np.float32), np.array([0]))
    assert not figures.is_finite


def test_every_hyperparameter_has_a_setting() -> None:
    given: dict[str, Any] = dict.fromkeys(TABLE.declarations)
    assert set(given) == set(Settings.__dataclass_fields__)
