"""The training job: what SAGEMAKER_TRAINING_MODULE names.

    configuration -> channels -> datasets -> network -> epochs -> files

Everything that the user can mend ends as a UserError with one message, most of it before MXNet is
loaded.
"""

from __future__ import annotations

import importlib
import logging
import os
import tempfile
from pathlib import Path

import numpy as np
from sagelocal_first_party.hosts import joined
from sagelocal_train import log_lines
from sagelocal_train.environment import Environment
from sagelocal_train.errors import UserError
from sagelocal_train.hyperparameters import as_text

from sagelocal_image_classification.channels import CHANNELS, TRAIN, VALIDATION, holds_images
from sagelocal_image_classification.dataset import Dataset, read_dataset
from sagelocal_image_classification.hyperparameters import (
    FLOAT16,
    TABLE,
    Settings,
    settings_of,
)
from sagelocal_image_classification.together import Share, Together

log = logging.getLogger("sagelocal_image_classification")


def main(environment: Environment | None = None) -> None:
    """Run the job that /opt/ml describes."""
    environment = Environment.read() if environment is None else environment
    log_lines.configure(environment.log_level)
    settings = _configured(environment)
    CHANNELS.validate(environment.channels)
    _check_hosts(environment)
    with tempfile.TemporaryDirectory() as name, joined(environment.resources) as group:
        scratch, together = Path(name), Together(group)
        train, validation = (
            read_dataset(
                *(channel, environment.channels, settings, scratch),
                Share.of(environment.channels[channel], group),
            )
            for channel in (TRAIN, VALIDATION)
        )
        _check_count(train, settings, environment, together)
        _say(settings)
        _say_what_differs(environment, settings)
        _use_all_processors(environment)
        importlib.import_module("sagelocal_image_classification.fit").fit(
            train, validation, settings, environment, scratch, together
        )


def _configured(environment: Environment) -> Settings:
    raw = environment.raw_hyperparameters
    values = TABLE.validate(raw)
    defaults = {
        name: as_text(declared.default)
        for name, declared in TABLE.declarations.items()
        if declared.default is not None
    }
    log.info("Reading default configuration from the hyperparameter table: %s", defaults)
    path = environment.paths.hyperparameters
    log.info("Reading provided configuration from %s: %s", path, dict(raw))
    final = {name: as_text(value) for name, value in values.items() if value is not None}
    log.info("Final configuration: %s", final)
    return settings_of(values)


def _check_hosts(environment: Environment) -> None:
    """Raise UserError for a pipe on several hosts, which the original does not train on either."""
    count = len(environment.hosts)
    for name in (TRAIN, VALIDATION):
        if count > 1 and environment.channels[name].input_mode == "Pipe":
            raise UserError(
                f"The job has {count} instances, and the channel {name!r} is a pipe: Pipe mode "
                "trains on one instance. Set TrainingInputMode to 'File', or InstanceCount to 1"
            )


def _check_count(
    train: Dataset, settings: Settings, environment: Environment, together: Together
) -> None:
    if len(train) < settings.mini_batch_size:
        raise UserError(_too_few(train, settings, environment))
    images = int(together.total(np.array(len(train))))
    if images != settings.num_training_samples:
        log.warning(
            "num_training_samples is %d, and the channel 'train' holds %d images: all of them are "
            "used. Set num_training_samples to %d",
            settings.num_training_samples,
            images,
            images,
        )


def _too_few(train: Dataset, settings: Settings, environment: Environment) -> str:
    hosts, step = len(environment.hosts), "Lower mini_batch_size"
    of_this_host = ""
    if hosts > 1:
        of_this_host = f", of which {environment.current_host} takes {len(train)}"
        step = f"Each of {hosts} instances needs as many: lower mini_batch_size or InstanceCount"
    return (
        "The number of input images must be bigger or equal to the mini_batch_size: the channel "
        f"'train' holds {train.looked_at}{of_this_host}, and mini_batch_size is "
        f"{settings.mini_batch_size}. {step}"
    )


def _say(settings: Settings) -> None:
    """The original's block of parameters."""
    shape = ",".join(map(str, settings.image_shape))
    log.info("use_pretrained_model: %d", settings.use_pretrained_model)
    log.info("multi_label: %d", settings.multi_label)
    said = {
        "num_layers": settings.num_layers,
        "data type": settings.precision_dtype,
        "epochs": settings.epochs,
        "image resize size": settings.resize,
        "optimizer": settings.optimizer,
        "momentum": settings.momentum,
        "weight_decay": settings.weight_decay,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_step": ",".join(map(str, settings.lr_scheduler_step)) or None,
        "lr_scheduler_factor": settings.lr_scheduler_factor,
        "num_training_samples": settings.num_training_samples,
        "mini_batch_size": settings.mini_batch_size,
        "image_shape": shape,
        "num_classes": settings.num_classes,
        "augmentation_type": settings.augmentation_type,
        "top_k": settings.top_k,
        "kv_store": settings.kv_store or "device",
    }
    optional = {"image resize size", "lr_scheduler_step", "top_k"}
    log.info("---- Parameters ----")
    for name, value in said.items():
        if value is not None or name not in optional:
            log.info("%s: %s", name, value)
    if settings.checkpoint_frequency is None:
        log.info("checkpoint_frequency not set, will store the best model")
    else:
        log.info("checkpoint_frequency: %d", settings.checkpoint_frequency)
    log.info("--------------------")


def _say_what_differs(environment: Environment, settings: Settings) -> None:
    if settings.precision_dtype == FLOAT16:
        log.warning(
            "precision_dtype is float16: MXNet has no such arithmetic on a CPU. Training is in "
            "float32, and the model's parameters are float32"
        )
    hosts = len(environment.hosts)
    if settings.kv_store is not None and hosts == 1:
        log.info(
            "kv_store is %s: there is one host, so parameters are updated on it and nothing is "
            "exchanged",
            settings.kv_store,
        )
    if settings.kv_store == "dist_async" and hosts > 1:
        log.warning(
            "kv_store is dist_async: here the %d hosts wait for each other in every step, as with "
            "dist_sync",
            hosts,
        )
    if settings.resize is None and any(
        holds_images(environment.channels[name]) for name in (TRAIN, VALIDATION)
    ):
        log.warning(
            "resize is not set: the original asks for it where the content type is "
            "application/x-image. Images are taken as they are"
        )


def _use_all_processors(environment: Environment) -> None:
    """MXNet reads these when it is loaded, and takes half the processors otherwise.

    Threads that wait must not spin: others have work on the same processors.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(environment.num_cpus))
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
