"""SAGEMAKER_TRAINING_MODULE: the image's own function, called by the `train` console script."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def image(job: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Install a module `algorithm` in the image and name its function `fit`."""
    packages = tmp_path_factory.mktemp("packages")

    def install(text: str, function: str = "algorithm:fit") -> Any:
        (packages / "algorithm.py").write_text(text)
        job.variables |= {"PYTHONPATH": str(packages), "SAGEMAKER_TRAINING_MODULE": function}
        return job

    return install


def test_a_function_gets_the_environment(image: Callable[..., Any]) -> None:
    job = image(
        "def fit(environment):\n"
        "    environment.paths.model.joinpath('m').write_text(environment.current_host)\n"
    )

    ended = job.config("resourceconfig", {"current_host": "algo-7"}).run("train")

    assert (ended.exit_code, ended.failure, ended.succeeded) == (0, None, True)
    assert (job.base / "model/m").read_text() == "algo-7"


def test_a_function_without_arguments_works_too(image: Callable[..., Any]) -> None:
    ended = image("def main():\n    print('trained')\n", "algorithm").run()

    assert ended.exit_code == 0
    assert "trained\n" in ended.output


def test_a_user_error_ends_with_2_and_the_clients_prefix(image: Callable[..., Any]) -> None:
    ended = image(
        "from sagelocal_train import UserError\n"
        "def fit(environment):\n    raise UserError('train.csv, line 3: abc is no number')\n"
    ).run()

    assert ended.exit_code == 2
    assert ended.failure == "ClientError: train.csv, line 3: abc is no number"
    assert ended.failure in ended.output


def test_wrong_hyperparameters_are_said_all_at_once(image: Callable[..., Any]) -> None:
    job = image(
        "from sagelocal_train.hyperparameters import *\n"
        "TABLE = Hyperparameters(Integer('epochs', minimum=1, default=15),"
        " Float('l1', minimum=0), Categorical('kind', ['a', 'b'], required=True))\n"
        "def fit(environment):\n    TABLE.validate(environment.raw_hyperparameters)\n"
    )

    ended = job.config("hyperparameters", {"epochs": "0", "l1": "x", "epoch": "3"}).run()

    assert ended.exit_code == 2
    assert ended.failure.splitlines() == [
        "ClientError: 4 hyperparameters are not valid.",
        "'0' is not valid under any of the given schemas: "
        "'epochs' must be an integer of at least 1",
        "'x' is not valid under any of the given schemas: 'l1' must be a number of at least 0",
        "'kind' is a required property: set it to 'a' or 'b'",
        "Additional properties are not allowed ('epoch' was unexpected): did you mean 'epochs'?",
    ]


def test_an_unexpected_error_leaves_its_cause_first_and_its_calls(
    image: Callable[..., Any],
) -> None:
    ended = image("def fit(environment):\n    return 1 / 0\n").run()

    assert ended.exit_code == 1
    assert ended.failure.startswith("ZeroDivisionError: division by zero\n")
    assert "return 1 / 0" in ended.failure


def test_the_functions_own_failure_file_is_kept(image: Callable[..., Any]) -> None:
    ended = image(
        "def fit(environment):\n"
        "    environment.paths.failure.write_text('my own reason')\n    raise ValueError\n"
    ).run()

    assert ended.failure == "my own reason"


@pytest.mark.parametrize(
    ("call", "exit_code", "failure"),
    [
        ("sys.exit()", 0, None),
        ("sys.exit(0)", 0, None),
        ("sys.exit(5)", 5, "the training code called sys.exit(5)"),
        ("sys.exit('no data')", 1, "no data"),
    ],
)
def test_leaving_by_sys_exit_counts(
    image: Callable[..., Any], call: str, exit_code: int, failure: str | None
) -> None:
    ended = image(f"import sys\ndef fit(environment):\n    {call}\n").run()

    assert (exit_code, failure) == (ended.exit_code, ended.failure)


def test_sigterm_lets_the_function_clean_up(
    image: Callable[..., Any], until: Callable[[Callable[[], bool]], None]
) -> None:
    job = image(
        "import signal\n"
        "def fit(environment):\n"
        "    model = environment.paths.model\n"
        "    try:\n        model.joinpath('ready').touch()\n        signal.pause()\n"
        "    finally:\n        model.joinpath('saved').touch()\n"
    )
    process = job.start()
    until((job.base / "model/ready").exists)

    process.send_signal(signal.SIGTERM)
    ended = job.end(process)

    assert (ended.exit_code, ended.failure, ended.succeeded) == (143, None, False)
    assert (job.base / "model/saved").exists()


def test_a_framework_runs_the_script_with_variables_of_its_own(image: Callable[..., Any]) -> None:
    job = image(
        "from sagelocal_train import script\n"
        "def fit(environment):\n    script.run(environment, {'OMP_NUM_THREADS': '3'})\n"
    )
    job.code("train.py", "import os\nprint('threads', os.environ['OMP_NUM_THREADS'])")

    ended = job.hyperparameters(sagemaker_program="train.py").run()

    assert "threads 3\n" in ended.output


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("no_such_package.training:main", "there is no module 'no_such_package' in this image"),
        ("algorithm:missing", "algorithm has no function 'missing'"),
        ("algorithm:fit.more", "algorithm has no function 'fit.more'"),
    ],
)
def test_a_function_that_is_not_there_is_named(
    image: Callable[..., Any], reference: str, words: str
) -> None:
    ended = image("def fit():\n    pass\n", reference).run()

    assert f"SAGEMAKER_TRAINING_MODULE is {reference!r}" in ended.failure
    assert words in ended.failure


def test_a_broken_import_within_the_image_shows_where(image: Callable[..., Any]) -> None:
    ended = image("import not_installed_anywhere\n").run()

    assert ended.failure.startswith("ModuleNotFoundError: No module named 'not_installed_anywhere'")
    assert "algorithm.py" in ended.failure


def test_unreadable_configuration_names_file_and_place(image: Callable[..., Any]) -> None:
    job = image("def fit():\n    pass\n").write("input/config/hyperparameters.json", '{"a": ')

    ended = job.run()

    assert ended.exit_code == 2
    assert "hyperparameters.json is not valid JSON (Expecting value: line 1" in ended.failure


def test_an_argument_that_means_nothing_is_refused(job: Any) -> None:
    ended = job.run("serve")

    assert ended.exit_code == 2
    assert ended.failure == "ClientError: train takes no arguments, but was called with ['serve']"


def test_help_explains_and_touches_nothing(job: Any) -> None:
    ended = job.run("--help")

    assert ended.exit_code == 0
    assert "SAGEMAKER_TRAINING_MODULE" in ended.output
    assert not (job.base / "output").exists()
