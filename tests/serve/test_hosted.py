"""The states of the one model of a container."""

from __future__ import annotations

from pathlib import Path

from sagelocal_serve import ExecutionParameters, ModelError, Request, Response, Unavailable
from sagelocal_serve.hosted import HostedModel, State

NOWHERE = Path("/nowhere")


class Recording:
    """A handler that notes what is done to it, and fails where it is told to."""

    shares_memory = True

    def __init__(self, fails_in: str = "") -> None:
        self.done: list[str] = []
        self._fails_in = fails_in

    def prepare(self, model_dir: Path) -> None:
        self._do("prepare")

    def load(self, model_dir: Path) -> None:
        self._do("load")

    def handle(self, request: Request) -> Response:
        return Response(b"")

    def execution_parameters(self) -> ExecutionParameters | None:
        return None

    def _do(self, step: str) -> None:
        self.done.append(step)
        if step == self._fails_in:
            raise OSError(5, "Input/output error", "/secret/place/model.bin")


def test_new_model_is_unavailable() -> None:
    hosted = HostedModel(Recording(), NOWHERE)
    assert hosted.state is State.WAITING
    assert isinstance(hosted.problem(), Unavailable)


def test_loaded_model_has_no_problem() -> None:
    hosted = HostedModel(Recording(), NOWHERE)
    hosted.load()
    assert (hosted.state, hosted.problem()) == (State.READY, None)


def test_model_is_prepared_and_loaded_once_however_often_asked() -> None:
    handler = Recording()
    hosted = HostedModel(handler, NOWHERE)
    for _ in range(2):
        hosted.prepare()
        hosted.load()
    assert handler.done == ["prepare", "load"]


def test_model_that_cannot_be_loaded_says_why_without_its_folder() -> None:
    hosted = HostedModel(Recording(fails_in="load"), NOWHERE)
    hosted.load()
    problem = hosted.problem()
    assert isinstance(problem, ModelError)
    assert problem.message == (
        "The model could not be loaded. OSError: [Errno 5] Input/output error: 'model.bin'"
    )


def test_model_that_could_not_be_prepared_is_not_loaded() -> None:
    handler = Recording(fails_in="prepare")
    hosted = HostedModel(handler, NOWHERE)
    hosted.prepare()
    hosted.load()
    assert handler.done == ["prepare"]
    assert hosted.state is State.FAILED
