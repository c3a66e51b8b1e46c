"""Where the user's script lies, and how it becomes a module.

Looked at in this order, the first folder that holds SAGEMAKER_PROGRAM wins:

    SAGEMAKER_SUBMIT_DIRECTORY   a folder, a file:// address or a .tar.gz file
    <model>/code                 where the SageMaker SDK packs inference.py into model.tar.gz
    /opt/ml/code                 where an image keeps a script of its own
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType

from sagelocal_serve.script.functions import ScriptError
from sagelocal_serve.settings import Settings

DEFAULT_PROGRAM = Settings.__dataclass_fields__["program"].default


@dataclass(frozen=True, slots=True)
class Script:
    """The user's script and the folder that it was submitted in."""

    path: Path
    folder: Path

    @property
    def requirements(self) -> Path | None:
        """The requirements.txt beside it, if there is one."""
        found = self.folder / "requirements.txt"
        return found if found.is_file() else None


def find_script(settings: Settings, model_dir: Path) -> Script | None:
    """The script; None if there is none and none was asked for by name; raises ScriptError."""
    folders = [model_dir / "code", settings.base_dir / "code"]
    remote = ""
    if submitted := settings.submit_directory:
        if "://" in submitted and not submitted.startswith("file://"):
            remote = f" {submitted} is not local, and nothing is downloaded."
        else:
            folders.insert(0, _submitted(Path(submitted.removeprefix("file://"))))
    program = settings.program if settings.program.endswith(".py") else f"{settings.program}.py"
    for folder in folders:
        if (folder / program).is_file():
            return Script(folder / program, folder)
    if settings.program == DEFAULT_PROGRAM and not submitted:
        return None
    looked = ", ".join(map(str, folders))
    raise ScriptError(
        f"There is no {program} (SAGEMAKER_PROGRAM) in {looked}.{remote} Pack it into the folder "
        "code of model.tar.gz, or set SAGEMAKER_SUBMIT_DIRECTORY to its folder."
    )


def load_script(script: Script) -> ModuleType:
    """Import the script as a top-level module, its folder first on Python's path.

    It is loaded by its file and not by its name, so a script may be called anything, `flask.py`
    and `serve.py` included. Modules beside it win over installed ones of the same name.
    """
    for folder in dict.fromkeys((str(script.folder), str(script.path.parent))):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    name = script.path.stem
    if name in sys.modules:
        name = f"sagemaker_program_{name}"
    spec = importlib.util.spec_from_file_location(name, script.path)
    if spec is None or spec.loader is None:
        raise ScriptError(f"{script.path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pickles and dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _submitted(path: Path) -> Path:
    if not path.is_file():
        return path
    target = Path(tempfile.mkdtemp(prefix="sourcedir-"))
    try:
        with tarfile.open(path) as archive:
            _extract(archive, target)
    except tarfile.TarError as error:
        raise ScriptError(
            f"SAGEMAKER_SUBMIT_DIRECTORY={path} is neither a folder nor a tar archive: {error}."
        ) from error
    return target


def _extract(archive: tarfile.TarFile, target: Path) -> None:
    """Write folders and plain files below the target; an archive gets no say in anything else."""
    for member in archive:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise ScriptError(f"The source archive holds {member.name!r}, outside of its folder.")
        content = archive.extractfile(member) if member.isfile() else None
        if content is not None:
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with content, place.open("wb") as out:
                shutil.copyfileobj(content, out)
