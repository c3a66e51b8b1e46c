"""Datasets to batches, by MXNet's own reader: decoded, cut, varied and shuffled on all processors.

The reader says little when an image cannot be decoded; then all are looked at again, one by one,
to say which it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import mxnet as mx
from sagelocal_train.errors import AlgorithmError, UserError

from sagelocal_image_classification.dataset import Dataset
from sagelocal_image_classification.hyperparameters import Settings

SEED = 0

_CROP = {"rand_crop": True, "rand_mirror": True}
_COLOR = {"max_random_h": 36, "max_random_s": 50, "max_random_l": 50}
_TRANSFORM = {"max_rotate_angle": 10, "max_shear_ratio": 0.1, "max_aspect_ratio": 0.25}
_VARIED: dict[str | None, dict[str, Any]] = {
    None: {},
    "crop": _CROP,
    "crop_color": _CROP | _COLOR,
    "crop_color_transform": _CROP | _COLOR | _TRANSFORM,
}


@dataclass(frozen=True, slots=True)
class Batch:
    """Images and labels of a full batch; the last `padding` of them do not count."""

    images: Any
    labels: Any
    padding: int


class Batches:
    """The batches of a dataset, epoch after epoch.

    Those for training are varied and in a new order each time, and the last of an epoch is filled
    up with the first images of the next. Those to measure are the images as they are, in order.
    Hosts of one job have different seeds.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: Settings,
        *,
        training: bool,
        threads: int,
        seed: int = SEED,
    ) -> None:
        self._dataset = dataset
        self._settings = settings
        more: dict[str, Any] = dict(_VARIED[settings.augmentation_type]) if training else {}
        if settings.resize is not None:
            more["resize"] = settings.resize
        if training:
            more |= {"shuffle": True, "path_imgidx": str(dataset.index)}
        self._is_training = training
        self._is_fresh = True
        if not len(dataset):  # One of several hosts may have none to measure.
            return
        self._reader = mx.io.ImageRecordIter(
            path_imgrec=str(dataset.records),
            data_shape=settings.image_shape,
            batch_size=settings.mini_batch_size,
            label_width=settings.num_classes if settings.multi_label else 1,
            round_batch=training,
            preprocess_threads=threads,
            verbose=False,
            seed=seed,
            seed_aug=seed,
            **more,
        )

    def epoch(self) -> Iterator[Batch]:
        """One pass; raises UserError naming the image that cannot be decoded."""
        if not len(self._dataset):
            return
        if not self._is_fresh:
            self._reader.reset()
        self._is_fresh = False
        left = len(self._dataset)
        while True:
            try:
                found = next(self._reader)
            except StopIteration:
                return
            except mx.MXNetError as error:
                raise self._explained(error) from error
            # Where a batch is not filled up from the beginning, the reader does not say so.
            padding = 0 if self._is_training else max(self._settings.mini_batch_size - left, 0)
            left -= self._settings.mini_batch_size
            yield Batch(found.data[0], found.label[0], padding)

    def steps(self, count: int) -> Iterator[Batch]:
        """So many batches: where an epoch has fewer, it begins again."""
        given = 0
        while given < count:
            for batch in self.epoch():
                if given == count:
                    return
                given += 1
                yield batch

    def _explained(self, error: Exception) -> Exception:
        flag = 1 if self._settings.image_shape[0] == 3 else 0
        for place, image in self._dataset.images():
            try:
                mx.image.imdecode(image, flag=flag).wait_to_read()
            except (mx.MXNetError, ValueError):
                return UserError(
                    f"{place} is an image that cannot be decoded: the file of {len(image)} bytes "
                    "is broken or of another format. Images are JPEG or PNG files; replace it or "
                    "leave it out"
                )
        return AlgorithmError(f"MXNet could not read {self._dataset.name}: {error}")
