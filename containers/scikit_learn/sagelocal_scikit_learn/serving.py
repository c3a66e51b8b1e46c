"""Serving in the scikit-learn image: the user's script where there is one, else the saved model."""

from __future__ import annotations

from pathlib import Path

from sagelocal_serve import (
    AlgorithmHandler,
    ExecutionParameters,
    Handler,
    ModelError,
    Request,
    Response,
    Settings,
)
from sagelocal_serve.script import ScriptHandler
from sagelocal_serve.script.location import find_script

from sagelocal_scikit_learn import requirements, script_mode
from sagelocal_scikit_learn.saved_model import SavedModel
from sagelocal_scikit_learn.versions import VersionWatch


def app(settings: Settings) -> Handler:
    """The handler that `serve` runs."""
    return ScriptOrModel(settings)


class ScriptOrModel:
    """What there is in the archive says in `prepare` which of the two handlers it is.

    A saved model is loaded once and its memory shared by all workers: unpickling starts no thread
    that would not survive the fork. A script is loaded by each worker, as it may do anything.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._versions = VersionWatch()
        self._chosen: Handler | None = None

    @property
    def shares_memory(self) -> bool:
        return self._chosen is not None and self._chosen.shares_memory

    def prepare(self, model_dir: Path) -> None:
        """Fetch the script, if it is in S3, and install what it requires."""
        settings = script_mode.with_local_source(self._settings)
        script = find_script(settings, model_dir)
        versions = requirements.imported_versions()
        if script is None:
            requirements.install_if_there(model_dir, settings)
            self._chosen = AlgorithmHandler(SavedModel(self._versions))
        else:
            self._chosen = ScriptHandler(settings, script_mode.DEFAULTS)
            self._chosen.prepare(model_dir)
        if not settings.multi_model:
            requirements.restart_if_changed(versions)

    def load(self, model_dir: Path) -> None:
        with self._versions.loading():
            self._handler.load(model_dir)

    def handle(self, request: Request) -> Response:
        return self._handler.handle(request)

    def execution_parameters(self) -> ExecutionParameters | None:
        return self._handler.execution_parameters()

    @property
    def _handler(self) -> Handler:
        if self._chosen is None:
            raise ModelError("No model is loaded.")
        return self._chosen
