"""The channels of the algorithm, and how each is to be read.

Training takes RecordIO files of images, or images with lists of them, or images through an
augmented manifest in Pipe mode (developer guide, "Input/Output Interface for the Image
Classification Algorithm").
"""

from __future__ import annotations

from typing import Literal

from sagelocal_train.channels import (
    ChannelDeclaration,
    Channels,
    InputMode,
    media_parameters,
    media_type,
)
from sagelocal_train.config import Channel
from sagelocal_train.errors import UserError

RECORDS = "application/x-recordio"
IMAGES = ("application/x-image", "image/jpeg", "image/png")
MODEL_TYPE = "application/x-sagemaker-model"

TRAIN, VALIDATION = "train", "validation"
MODEL, PRETRAINED = "model", "pretrained"

LabelFormat = Literal["multi-hot", "class-id"]

_DATA_MODES: tuple[InputMode, ...] = ("File", "FastFile", "Pipe")

CHANNELS = Channels(
    ChannelDeclaration(
        TRAIN,
        required=True,
        content_types=(RECORDS, *IMAGES),
        input_modes=_DATA_MODES,
        help="Images to learn from.",
    ),
    ChannelDeclaration(
        VALIDATION,
        required=True,
        content_types=(RECORDS, *IMAGES),
        input_modes=_DATA_MODES,
        help="Images to measure the accuracy on after each epoch.",
    ),
    ChannelDeclaration(
        "train_lst",
        content_types=IMAGES,
        help="For images: the list of them, a .lst file.",
    ),
    ChannelDeclaration(
        "validation_lst",
        content_types=IMAGES,
        help="The same for the channel validation.",
    ),
    ChannelDeclaration(
        MODEL,
        content_types=(MODEL_TYPE,),
        help="Incremental training: the artifact of an earlier job, as model.tar.gz or unpacked.",
    ),
    ChannelDeclaration(
        PRETRAINED,
        content_types=(MODEL_TYPE,),
        help="use_pretrained_model: the network to begin with. An extension.",
    ),
)


def list_channel(name: str) -> str:
    """The channel that lists the images of another."""
    return f"{name}_lst"


def holds_images(channel: Channel) -> bool:
    """Whether it holds image files, and no records."""
    return channel.content_type is not None and media_type(channel.content_type) in IMAGES


def label_format(channel: Channel) -> LabelFormat:
    """How several labels of an image are written; raises UserError.

    `multi-hot`: a 0 or 1 for each class. `class-id`: the numbers of the classes.
    """
    given = media_parameters(channel.content_type or "").get("label-format", "multi-hot")
    if given == "multi-hot":
        return "multi-hot"
    if given == "class-id":
        return "class-id"
    raise UserError(
        f"Channel {channel.name!r} has label-format={given} in its ContentType: use "
        "'multi-hot' or 'class-id'"
    )
