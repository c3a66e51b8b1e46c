"""The hyperparameter table of the algorithm, and the typed settings that come out of it.

Names, ranges and defaults are those of the developer guide's page "Image Classification
Hyperparameters", ranges to tune in those of "Tune an Image Classification Model".
"""

from __future__ import annotations

from dataclasses import dataclass

from sagelocal_train.hyperparameters import (
    FIRST_PARTY_HIDDEN,
    Boolean,
    Categorical,
    Check,
    Float,
    Hyperparameters,
    Integer,
    Text,
    Tunable,
    Values,
)

DEEP_LAYERS = (18, 34, 50, 101, 152, 200)
SMALL_LAYERS = (20, 32, 44, 56, 110)
AUGMENTATIONS = ("crop", "crop_color", "crop_color_transform")
OPTIMIZERS = ("sgd", "adam", "rmsprop", "nag")
FLOAT16 = "float16"

_FLAG = ("0", "1")
_SHAPE = r"\s*[13]\s*,\s*[1-9][0-9]*\s*,\s*[1-9][0-9]*\s*"
_STEPS = r"\s*[1-9][0-9]*\s*(,\s*[1-9][0-9]*\s*)*"


def _checkpoints_within_the_epochs(values: Values) -> str | None:
    frequency, epochs = values["checkpoint_frequency"], values.integer("epochs")
    if isinstance(frequency, int) and frequency > epochs:
        return (
            f"'checkpoint_frequency' is {frequency} and 'epochs' is {epochs}: nothing would be "
            "saved. checkpoint_frequency must not be the larger"
        )
    return None


def _batch_within_the_samples(values: Values) -> str | None:
    batch, samples = values.integer("mini_batch_size"), values.integer("num_training_samples")
    if batch > samples:
        return (
            "The number of input images must be bigger or equal to the mini_batch_size: "
            f"'num_training_samples' is {samples} and 'mini_batch_size' is {batch}. Lower "
            "mini_batch_size"
        )
    return None


def _classes_for_top_k(values: Values) -> str | None:
    top_k, classes = values["top_k"], values.integer("num_classes")
    if isinstance(top_k, int) and top_k > classes:
        return f"'top_k' is {top_k} and 'num_classes' is {classes}: top_k must not be the larger"
    return None


def _several_classes(values: Values) -> str | None:
    if values.integer("num_classes") < 2 and values.text("multi_label") == "0":
        return "'num_classes' is 1: with 'multi_label' 0 there must be at least 2 classes"
    return None


def _steps_in_order(values: Values) -> str | None:
    text = values["lr_scheduler_step"]
    if not isinstance(text, str):
        return None
    steps = _numbers(text)
    if sorted(set(steps)) != list(steps):
        return f"'lr_scheduler_step' is {text!r}: the epochs must rise, such as '10,20,30'"
    return None


def _depth_that_exists_pretrained(values: Values) -> str | None:
    layers = int(values.text("num_layers"))
    if values.text("use_pretrained_model") == "1" and layers in SMALL_LAYERS:
        return (
            f"'num_layers' is {layers} and 'use_pretrained_model' is 1: pretrained networks have "
            f"{', '.join(map(str, DEEP_LAYERS))} layers"
        )
    return None


TABLE = Hyperparameters(
    Integer("num_classes", minimum=1, required=True, help="Number of classes."),
    Integer(
        "num_training_samples",
        minimum=1,
        required=True,
        help="Number of images in the channel train; a wrong one is said in the log.",
    ),
    Categorical(
        "augmentation_type",
        AUGMENTATIONS,
        help="How training images are varied: `crop` cuts out at random and mirrors, `crop_color` "
        "also shifts hue (36), saturation (50) and lightness (50), `crop_color_transform` also "
        "rotates (10 degrees), shears (0.1) and stretches (0.25).",
    ),
    Float(
        "beta_1",
        minimum=0,
        maximum=1,
        default=0.9,
        tunable=Tunable(1e-6, 0.999),
        help="adam: decay of the first moment.",
    ),
    Float(
        "beta_2",
        minimum=0,
        maximum=1,
        default=0.999,
        tunable=Tunable(1e-6, 0.999),
        help="adam: decay of the second moment.",
    ),
    Integer(
        "checkpoint_frequency",
        minimum=1,
        help="Save the parameters every so many epochs; otherwise those of the epoch with the "
        "best validation accuracy are saved.",
    ),
    Boolean(
        "early_stopping",
        default=False,
        help="Stop when the validation accuracy improves no more.",
    ),
    Integer(
        "early_stopping_min_epochs",
        minimum=1,
        default=10,
        help="early_stopping: epochs before it may stop.",
    ),
    Integer(
        "early_stopping_patience",
        minimum=1,
        default=5,
        help="early_stopping: epochs without improvement that are waited for.",
    ),
    Float(
        "early_stopping_tolerance",
        minimum=0,
        maximum=1,
        default=0.0,
        help="early_stopping: what counts as an improvement, as a share of the best accuracy.",
    ),
    Integer("epochs", minimum=1, default=30, help="Passes over the training data."),
    Float(
        "eps",
        minimum=0,
        maximum=1,
        default=1e-8,
        tunable=Tunable(1e-8, 1),
        help="adam and rmsprop: keeps divisors away from 0.",
    ),
    Float(
        "gamma",
        minimum=0,
        maximum=1,
        default=0.9,
        tunable=Tunable(1e-8, 0.999),
        help="rmsprop: decay of the mean square of gradients.",
    ),
    Text(
        "image_shape",
        pattern=_SHAPE,
        expected="channels (1 or 3), height and width, such as '3,224,224'",
        default="3,224,224",
        help="What the network sees: an image that is larger is cut, at random with "
        "augmentation_type, otherwise in the middle; one that is smaller is an error.",
    ),
    Categorical(
        "kv_store",
        ("dist_sync", "dist_async"),
        help="How several instances exchange gradients: here in every step, whichever is given; "
        "one has nothing to exchange.",
    ),
    Float(
        "learning_rate",
        minimum=0,
        maximum=1,
        default=0.1,
        tunable=Tunable(1e-6, 0.5),
        help="Step size at the beginning.",
    ),
    Float(
        "lr_scheduler_factor",
        minimum=0,
        maximum=1,
        default=0.1,
        help="What the learning rate is multiplied by at each of lr_scheduler_step.",
    ),
    Text(
        "lr_scheduler_step",
        pattern=_STEPS,
        expected="epochs in rising order, such as '10,20,30'",
        help="Epochs after which the learning rate falls.",
    ),
    Integer(
        "mini_batch_size",
        minimum=1,
        default=32,
        tunable=Tunable(8, 512),
        help="Images in a batch, on each instance.",
    ),
    Float(
        "momentum",
        minimum=0,
        maximum=1,
        default=0.9,
        tunable=Tunable(0, 0.999),
        help="sgd and nag: momentum.",
    ),
    Categorical(
        "multi_label", _FLAG, default="0", help="Whether an image may have several classes."
    ),
    Categorical(
        "num_layers",
        tuple(map(str, DEEP_LAYERS + SMALL_LAYERS)),
        default="152",
        help="Depth of the network. 20, 32, 44, 56 and 110 are for small images, of 28 x 28 "
        "pixels or so.",
    ),
    Categorical("optimizer", OPTIMIZERS, default="sgd", tunable=True, help="How it learns."),
    Categorical(
        "precision_dtype",
        ("float32", FLOAT16),
        default="float32",
        help="The arithmetic and the saved parameters are float32 in either case, on a CPU.",
    ),
    Integer(
        "resize",
        minimum=1,
        help="Pixels of the shorter side, to which training and validation images are resized "
        "first. No smaller than the sides of image_shape.",
    ),
    Integer(
        "top_k",
        minimum=2,
        help="Also say how often the right class is among the first so many in training.",
    ),
    Categorical(
        "use_pretrained_model",
        _FLAG,
        default="0",
        help="Begin with a network that was trained elsewhere, and a new last layer.",
    ),
    Categorical(
        "use_weighted_loss",
        _FLAG,
        default="0",
        help="multi_label: weigh rare classes up in the loss.",
    ),
    Float(
        "weight_decay",
        minimum=0,
        maximum=1,
        default=0.0001,
        tunable=Tunable(0, 0.999),
        help="Pulls weights to 0.",
    ),
    checks=[
        Check(("checkpoint_frequency", "epochs"), _checkpoints_within_the_epochs),
        Check(("mini_batch_size", "num_training_samples"), _batch_within_the_samples),
        Check(("top_k", "num_classes"), _classes_for_top_k),
        Check(("num_classes", "multi_label"), _several_classes),
        Check(("lr_scheduler_step",), _steps_in_order),
        Check(("num_layers", "use_pretrained_model"), _depth_that_exists_pretrained),
    ],
    hidden=FIRST_PARTY_HIDDEN,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The hyperparameters of a job; names and meanings are the algorithm's own."""

    num_classes: int
    num_training_samples: int
    augmentation_type: str | None
    beta_1: float
    beta_2: float
    checkpoint_frequency: int | None
    early_stopping: bool
    early_stopping_min_epochs: int
    early_stopping_patience: int
    early_stopping_tolerance: float
    epochs: int
    eps: float
    gamma: float
    image_shape: tuple[int, int, int]
    kv_store: str | None
    learning_rate: float
    lr_scheduler_factor: float
    lr_scheduler_step: tuple[int, ...]
    mini_batch_size: int
    momentum: float
    multi_label: bool
    num_layers: int
    optimizer: str
    precision_dtype: str
    resize: int | None
    top_k: int | None
    use_pretrained_model: bool
    use_weighted_loss: bool
    weight_decay: float


def settings_of(values: Values) -> Settings:
    """The typed settings of checked hyperparameters."""
    steps = values["lr_scheduler_step"]
    channels, height, width = _numbers(values.text("image_shape"))
    return Settings(
        num_classes=values.integer("num_classes"),
        num_training_samples=values.integer("num_training_samples"),
        augmentation_type=_text_or_none(values, "augmentation_type"),
        beta_1=values.number("beta_1"),
        beta_2=values.number("beta_2"),
        checkpoint_frequency=_integer_or_none(values, "checkpoint_frequency"),
        early_stopping=values.flag("early_stopping"),
        early_stopping_min_epochs=values.integer("early_stopping_min_epochs"),
        early_stopping_patience=values.integer("early_stopping_patience"),
        early_stopping_tolerance=values.number("early_stopping_tolerance"),
        epochs=values.integer("epochs"),
        eps=values.number("eps"),
        gamma=values.number("gamma"),
        image_shape=(channels, height, width),
        kv_store=_text_or_none(values, "kv_store"),
        learning_rate=values.number("learning_rate"),
        lr_scheduler_factor=values.number("lr_scheduler_factor"),
        lr_scheduler_step=_numbers(steps) if isinstance(steps, str) else (),
        mini_batch_size=values.integer("mini_batch_size"),
        momentum=values.number("momentum"),
        multi_label=values.text("multi_label") == "1",
        num_layers=int(values.text("num_layers")),
        optimizer=values.text("optimizer"),
        precision_dtype=values.text("precision_dtype"),
        resize=_integer_or_none(values, "resize"),
        top_k=_integer_or_none(values, "top_k"),
        use_pretrained_model=values.text("use_pretrained_model") == "1",
        use_weighted_loss=values.text("use_weighted_loss") == "1",
        weight_decay=values.number("weight_decay"),
    )


def _text_or_none(values: Values, name: str) -> str | None:
    return None if values[name] is None else values.text(name)


def _integer_or_none(values: Values, name: str) -> int | None:
    return None if values[name] is None else values.integer(name)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))
