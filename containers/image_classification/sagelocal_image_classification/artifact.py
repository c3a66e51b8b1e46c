"""The files of the model folder, by the original's names.

    image-classification-symbol.json   the network, an MXNet symbol that ends with probabilities
    image-classification-0007.params   its parameters after the 7th epoch, arg:NAME and aux:NAME
    model-shapes.json                  [{"name": "data", "shape": [32, 3, 224, 224]}]

`mx.model.load_checkpoint(".../image-classification", 7)` reads the first two. Where an archive has
parameters of several epochs, the last ones count.
"""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np

from sagelocal_image_classification import network

PREFIX = "image-classification"
SHAPES_FILE = "model-shapes.json"

_SYMBOL_SUFFIX = "-symbol.json"
# By name, and by number as a variable has it.
_FLOAT32 = {"float16": "float32", "2": "0"}
# At least four digits, as `%04d` writes them: epochs go on after 9999.
_PARAMETERS = re.compile(r"(.+)-(\d{4,})\.params")


class ArtifactError(Exception):
    """A model that cannot be read: says which file and why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A network with its parameters. `image_shape` is None where no file says it."""

    symbol: Any
    arguments: dict[str, Any]
    auxiliary: dict[str, Any]
    image_shape: tuple[int, int, int] | None
    input_name: str = network.DATA

    @property
    def num_classes(self) -> int:
        """Numbers that the network answers with."""
        image = self.image_shape or (3, 224, 224)
        _, outputs, _ = self.symbol.infer_shape_partial(**{self.input_name: (1, *image)})
        return int(outputs[0][-1]) if outputs and len(outputs[0]) > 1 else 0

    @property
    def num_layers(self) -> int:
        """Its depth as papers count it: convolutions but those around units, and the last layer."""
        nodes = json.loads(self.symbol.tojson())["nodes"]
        counted = [
            node
            for node in nodes
            if node["op"] in ("Convolution", "FullyConnected") and not node["name"].endswith("_sc")
        ]
        return len(counted)


def parameters_name(epoch: int) -> str:
    """The name of the parameters after so many epochs."""
    return f"{PREFIX}-{epoch:04d}.params"


def save_network(symbol: Any, image_shape: tuple[int, int, int], batch: int, folder: Path) -> None:
    """Write the network and its shapes."""
    folder.mkdir(parents=True, exist_ok=True)
    symbol.save(str(folder / f"{PREFIX}{_SYMBOL_SUFFIX}"))
    shapes = [{"name": network.DATA, "shape": [batch, *image_shape]}]
    (folder / SHAPES_FILE).write_text(json.dumps(shapes))


def save_parameters(
    arguments: dict[str, Any], auxiliary: dict[str, Any], epoch: int, folder: Path
) -> Path:
    """Write the parameters after so many epochs; the file."""
    named = {f"arg:{name}": value for name, value in arguments.items()}
    named |= {f"aux:{name}": value for name, value in auxiliary.items()}
    path = folder / parameters_name(epoch)
    # A stop must not leave half a file that would be served.
    unfinished = path.with_suffix(".unfinished")
    mx.nd.save(str(unfinished), named)
    unfinished.replace(path)
    return path


def load(folder: Path) -> Checkpoint:
    """The network in a folder, ours or another of MXNet; raises ArtifactError."""
    symbol_path, parameters_path = _files(folder)
    try:
        symbol = mx.sym.load_json(_in_float32(symbol_path.read_text(encoding="utf-8")))
    except (mx.MXNetError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtifactError(f"{symbol_path.name} is no network of MXNet") from error
    arguments, auxiliary = read_parameters(parameters_path, set(symbol.list_auxiliary_states()))
    name, image_shape = _shape(folder / SHAPES_FILE)
    return Checkpoint(symbol, arguments, auxiliary, image_shape, name)


def read_parameters(
    path: Path, auxiliary_names: Collection[str] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments and auxiliary states of a file, in float32; raises ArtifactError."""
    try:
        named = mx.nd.load(str(path))
    except (mx.MXNetError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path.name} holds no parameters of MXNet") from error
    if not isinstance(named, dict):
        raise ArtifactError(f"{path.name} holds parameters without names")
    return _by_kind(named, auxiliary_names)


def unpacked(folder: Path, scratch: Path) -> Path:
    """The folder of a model channel that holds model.tar.gz, or already what was in it.

    An artifact is flat: of an archive its files are taken, without their folders. Raises
    ArtifactError.
    """
    archives = sorted(path for path in folder.rglob("*.tar.gz") if path.is_file())
    if not archives:
        return folder
    target = scratch / "archive"
    target.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archives[0]) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None:
                    with (target / Path(member.name).name).open("wb") as file:
                        shutil.copyfileobj(content, file)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ArtifactError(
            f"{archives[0].name} is no archive that can be read: {error}"
        ) from error
    return target


def _files(folder: Path) -> tuple[Path, Path]:
    """The symbol and the last parameters, of the original's name or the only other one."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    symbols = [path for path in files if path.name.endswith(_SYMBOL_SUFFIX)]
    own = [path for path in symbols if path.name == f"{PREFIX}{_SYMBOL_SUFFIX}"]
    chosen = own or symbols
    listing = ", ".join(path.name for path in files[:8]) or "nothing"
    if len(chosen) != 1:
        raise ArtifactError(
            f"one network is needed, {PREFIX}{_SYMBOL_SUFFIX}, and there are {len(chosen)}; the "
            f"folder holds {listing}"
        )
    prefix = chosen[0].name.removesuffix(_SYMBOL_SUFFIX)
    parameters = [
        (int(match[2]), path)
        for path in files
        if (match := _PARAMETERS.fullmatch(path.name)) and match[1] == prefix
    ]
    if not parameters:
        raise ArtifactError(
            f"there are no parameters for {chosen[0].name}, such as {prefix}-0001.params; the "
            f"folder holds {listing}"
        )
    return chosen[0], max(parameters)[1]


def _in_float32(symbol: str) -> str:
    """A network that was trained in float16 (precision_dtype), for processors, which have none."""
    document = json.loads(symbol)
    for node in document["nodes"]:
        for kind in ("attrs", "attr", "param"):
            values = node.get(kind)
            for name in values or ():
                if name in ("dtype", "__dtype__"):
                    values[name] = _FLOAT32.get(values[name], values[name])
    return json.dumps(document)


def _by_kind(
    named: dict[str, Any], auxiliary_names: Collection[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments and auxiliary states; files of Gluon have their names without a kind."""
    arguments, auxiliary = {}, {}
    for key, given in named.items():
        kind, _, name = key.rpartition(":")
        value = given.astype(np.float32, copy=False)
        if kind == "aux" or name in auxiliary_names:
            auxiliary[name] = value
        else:
            arguments[name] = value
    return arguments, auxiliary


def _shape(path: Path) -> tuple[str, tuple[int, int, int] | None]:
    """The name and shape of the input, without the size of batches."""
    if not path.is_file():
        return network.DATA, None
    try:
        [entry] = json.loads(path.read_text(encoding="utf-8"))
        _, channels, height, width = map(int, entry["shape"])
        return str(entry["name"]), (channels, height, width)
    except (ValueError, TypeError, KeyError) as error:
        raise ArtifactError(
            f'{path.name} is not like [{{"name": "data", "shape": [1, 3, 224, 224]}}]: {error!r}'
        ) from error
