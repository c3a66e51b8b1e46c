"""Where the network of a job comes from: a new one, an earlier job's, or a pretrained one.

    channel `model`                 incremental training: the same depth, image shape and classes;
                                    use_pretrained_model is ignored then, as the original does
    use_pretrained_model=1          a network that was trained elsewhere, with a new last layer:
                                    from the channel `pretrained`, else from the folder that
                                    SAGELOCAL_PRETRAINED_MODELS names

The original downloads pretrained networks; a container here may have no network, and nobody's
weights are in the image.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sagelocal_train.config import Channel
from sagelocal_train.environment import Environment
from sagelocal_train.errors import UserError

from sagelocal_image_classification import artifact, network
from sagelocal_image_classification.artifact import ArtifactError, Checkpoint
from sagelocal_image_classification.channels import MODEL, PRETRAINED
from sagelocal_image_classification.hyperparameters import Settings

log = logging.getLogger("sagelocal_image_classification")

CACHE_VARIABLE = "SAGELOCAL_PRETRAINED_MODELS"
DEFAULT_CACHE = "pretrained"
"""Below /opt/ml: where `sagelocal up --pretrained-models-dir` puts what it was given."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """A network without its head, and the parameters that are known already."""

    scores: Any
    arguments: dict[str, Any] = field(default_factory=dict)
    auxiliary: dict[str, Any] = field(default_factory=dict)
    input_name: str = network.DATA


def begin(environment: Environment, settings: Settings, scratch: Path) -> Beginning:
    """The network to train; raises UserError that says what does not fit."""
    channels = environment.channels
    if MODEL in channels:
        log.info("Using the model of channel %s for incremental training.", MODEL)
        if settings.use_pretrained_model:
            log.info("use_pretrained_model is ignored: there is a channel %s.", MODEL)
        return _continued(_of_channel(channels[MODEL], scratch), settings)
    if settings.use_pretrained_model:
        log.info("Using pretrained model for initializing weights and transfer learning.")
        cache = _cache(environment)
        return _transferred(*_pretrained(channels, settings, scratch, cache), settings)
    return Beginning(
        network.scores(settings.num_layers, settings.num_classes, settings.image_shape)
    )


def _cache(environment: Environment) -> Path:
    """The folder of pretrained networks, whether it is there or not."""
    given = os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else environment.paths.base / DEFAULT_CACHE


def _pretrained(
    channels: Mapping[str, Channel], settings: Settings, scratch: Path, cache: Path
) -> tuple[Checkpoint, str]:
    if PRETRAINED in channels:
        return _of_channel(channels[PRETRAINED], scratch), f"the channel {PRETRAINED!r}"
    own = cache / f"resnet-{settings.num_layers}"
    if own.is_dir():
        try:
            return artifact.load(artifact.unpacked(own, scratch / "pretrained")), str(own)
        except ArtifactError as error:
            raise UserError(f"The pretrained model in {own} cannot be used: {error}") from error
    raise UserError(
        "'use_pretrained_model' is 1, and there is no pretrained model here: nothing is "
        f"downloaded, no channel 'pretrained' is given and there is no folder {own}. Add a "
        f"channel 'pretrained' with resnet-{settings.num_layers}-symbol.json and "
        f"resnet-{settings.num_layers}-0000.params of MXNet's model zoo, or the model.tar.gz of "
        f"another job; or start sagelocal with --pretrained-models-dir and a folder that has them "
        f"in resnet-{settings.num_layers}; or set use_pretrained_model to 0"
    )


def _of_channel(channel: Channel, scratch: Path) -> Checkpoint:
    try:
        return artifact.load(artifact.unpacked(channel.path, scratch / channel.name))
    except ArtifactError as error:
        raise UserError(
            f"The channel {channel.name!r} has no model that can be trained on: {error}. Give it "
            "the model.tar.gz of an earlier job"
        ) from error


def _continued(checkpoint: Checkpoint, settings: Settings) -> Beginning:
    asked = {
        "num_layers": (settings.num_layers, checkpoint.num_layers),
        "image_shape": (settings.image_shape, checkpoint.image_shape or settings.image_shape),
        "num_classes": (settings.num_classes, checkpoint.num_classes),
    }
    differing = [
        f"{name} is {_shown(wanted)}, the model's is {_shown(there)}"
        for name, (wanted, there) in asked.items()
        if wanted != there
    ]
    if differing:
        raise UserError(
            f"The model of the channel {MODEL!r} is another: {'; '.join(differing)}. Set the "
            "hyperparameters to the model's; for a new last layer give the model to the channel "
            f"{PRETRAINED!r} instead, and set use_pretrained_model to 1"
        )
    scores = network.without_head(checkpoint.symbol)
    return Beginning(scores, checkpoint.arguments, checkpoint.auxiliary, checkpoint.input_name)


def _transferred(checkpoint: Checkpoint, where: str, settings: Settings) -> Beginning:
    if checkpoint.num_layers != settings.num_layers:
        raise UserError(
            f"The pretrained model in {where} has {checkpoint.num_layers} layers, and num_layers "
            f"is {settings.num_layers}: set it to {checkpoint.num_layers}"
        )
    features = network.features(network.without_head(checkpoint.symbol))
    scores = network.last_layer(features, settings.num_classes)
    known = set(features.list_arguments())
    arguments = {name: value for name, value in checkpoint.arguments.items() if name in known}
    return Beginning(scores, arguments, checkpoint.auxiliary, checkpoint.input_name)


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
