"""The user's own script, run by the `train` console script on a real folder."""

from __future__ import annotations

import json
import signal
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WRITE_RESULT = """
import json, os, sys
def write(value):
    with open(os.path.join(os.environ["SM_MODEL_DIR"], "result.json"), "w") as file:
        json.dump(value, file)
"""


def test_a_script_gets_its_hyperparameters_as_arguments_and_variables(job: Any) -> None:
    ended = job.run_script(
        WRITE_RESULT + "write([sys.argv[1:], os.environ['SM_HPS'], os.environ['SM_HP_LAYERS']])",
        epochs=5,
        layers=[64, 32],
        shuffle=True,
        name="abc",
    )

    arguments, hps, layers = job.result()
    assert (ended.exit_code, ended.failure, ended.succeeded) == (0, None, True)
    assert (
        " ".join(arguments).replace(" [64, 32] ", "|[64, 32]|")
    ) == "--epochs 5 --layers|[64, 32]|--name abc --shuffle True"
    assert json.loads(hps) == {"epochs": 5, "layers": [64, 32], "name": "abc", "shuffle": True}
    assert layers == "[64,32]"


def test_a_script_runs_in_the_code_folder_and_imports_its_neighbours(job: Any) -> None:
    job.code("helpers/__init__.py", "").code("helpers/inner.py", "VALUE = 42")

    ended = job.run_script(
        WRITE_RESULT + "from helpers.inner import VALUE\nwrite([os.getcwd(), VALUE])"
    )

    assert ended.exit_code == 0, ended.output
    assert [str(job.base / "code"), 42] == job.result()


@pytest.mark.parametrize("name", ["train", "serve", "utils", "logging", "errors", "json"])
def test_the_users_modules_do_not_collide_with_ours(job: Any, name: str) -> None:
    job.code(f"{name}.py", "raise SystemExit('the wrong module was imported')")
    job.code("main.py", "open('../model/ran', 'w').close()")
    job.variables["PYTHONPATH"] = str(job.base / "nothing")

    ended = job.hyperparameters(sagemaker_program="main.py").run()

    assert ended.exit_code == 0, ended.output
    assert (job.base / "model/ran").exists()


def test_the_users_train_py_may_import_a_utils_py(job: Any) -> None:
    job.code("utils.py", "def double(x): return 2 * x")

    ended = job.run_script(WRITE_RESULT + "from utils import double\nwrite(double(21))")

    assert ended.exit_code == 0, ended.output
    assert job.result() == 42


def test_output_comes_at_once_and_in_the_containers_log(job: Any) -> None:
    job.code("train.py", "import sys\nprint('before')\nsys.stdin.readline() or input()")
    process = job.hyperparameters(sagemaker_program="train.py").start()

    assert any(line == "before\n" for line in process.stdout)


def test_an_exit_code_of_the_user_is_named_and_the_container_ends_with_1(job: Any) -> None:
    ended = job.run_script("import sys\nprint('no licence', file=sys.stderr)\nsys.exit(3)")

    assert ended.exit_code == 1
    assert not ended.succeeded
    assert ended.failure.startswith(
        'ExecuteUserScriptError:\nExitCode 3\nErrorMessage "no licence"\nCommand "'
    )
    assert f'{sys.executable} train.py"' in ended.failure


def test_a_traceback_shows_its_cause_within_1024_characters(job: Any) -> None:
    ended = job.run_script(
        """
        import sys
        print("x" * 5000, file=sys.stderr)
        def deep(n):
            if n:
                deep(n - 1)
            else:
                raise ValueError("no rows in train.csv")
        deep(5)
        deep(40)
        """
    )

    shown = ended.failure[:1024]
    assert '\nErrorMessage "ValueError: no rows in train.csv\nTraceback (most recent' in shown
    assert 'raise ValueError("no rows in train.csv")' in shown
    assert f'Command "{sys.executable} train.py"' in shown
    assert "ValueError: no rows in train.csv" in ended.output


def test_a_syntax_error_is_shown_with_its_line(job: Any) -> None:
    ended = job.run_script("print(1)\ndef broken(:\n    pass\n")

    assert "SyntaxError: invalid syntax" in ended.failure
    assert "def broken(:" in ended.failure
    assert "train.py" in ended.failure


def test_a_killed_script_is_told_as_out_of_memory(job: Any) -> None:
    ended = job.run_script("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")

    assert ended.exit_code == 1
    assert "ExitCode 137\n" in ended.failure
    assert 'ExtraInfo "OutOfMemory: Process killed by SIGKILL (signal 9)"' in ended.failure


def test_a_silent_failure_still_has_a_reason(job: Any) -> None:
    ended = job.run_script("import os\nos._exit(7)")

    assert "ExitCode 7\n" in ended.failure
    assert "wrote nothing to standard error" in ended.failure


def test_the_users_own_failure_file_is_kept(job: Any) -> None:
    ended = job.run_script(
        """
        import os, sys
        with open(os.path.join(os.environ["SM_OUTPUT_DIR"], "failure"), "w") as file:
            file.write("my own reason")
        sys.exit(1)
        """
    )

    assert ended.failure == "my own reason"


def test_an_empty_failure_file_is_filled(job: Any) -> None:
    ended = job.run_script("import sys\nopen('../output/failure', 'w').close()\nsys.exit('gone')")

    assert 'ErrorMessage "gone"' in ended.failure


def test_the_outcome_of_an_earlier_run_is_forgotten(job: Any) -> None:
    job.write("output/failure", "from yesterday").write("output/success", "")

    ended = job.run_script("raise RuntimeError('today')")

    assert "today" in ended.failure
    assert not ended.succeeded


def test_a_missing_entry_point_names_what_is_there(job: Any) -> None:
    job.code("other.py", "")

    ended = job.hyperparameters(sagemaker_program="train.py").run()

    assert ended.exit_code == 1
    assert f"'train.py' is not in {job.base}/code, which holds: other.py." in ended.failure


def test_no_entry_point_at_all_says_how_to_name_one(job: Any) -> None:
    ended = job.run()

    assert ended.exit_code == 1
    assert "SAGEMAKER_PROGRAM" in ended.failure


def test_the_variable_beats_the_hyperparameter(job: Any) -> None:
    job.code("one.py", WRITE_RESULT + "write(1)").code("two.py", WRITE_RESULT + "write(2)")
    job.variables["SAGEMAKER_PROGRAM"] = "two.py"

    job.hyperparameters(sagemaker_program="one.py").run()

    assert job.result() == 2


def test_sigterm_reaches_the_script_which_may_clean_up(
    job: Any, until: Callable[[Callable[[], bool]], None]
) -> None:
    job.code(
        "train.py",
        """
        import pathlib, signal, sys
        model = pathlib.Path("../model")
        def stop(number, frame):
            model.joinpath("stopped").write_text("saved")
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        model.joinpath("ready").touch()
        signal.pause()
        """,
    )
    process = job.hyperparameters(sagemaker_program="train.py").start()
    until((job.base / "model/ready").exists)

    process.send_signal(signal.SIGTERM)
    ended = job.end(process)

    assert (ended.exit_code, ended.failure) == (0, None)
    assert (job.base / "model/stopped").read_text() == "saved"


def test_a_script_that_ends_by_sigterm_is_stopped_and_not_failed(
    job: Any, until: Callable[[Callable[[], bool]], None]
) -> None:
    job.code("train.py", "open('../model/ready', 'w').close()\nimport signal\nsignal.pause()")
    process = job.hyperparameters(sagemaker_program="train.py").start()
    until((job.base / "model/ready").exists)

    process.send_signal(signal.SIGTERM)
    ended = job.end(process)

    assert (ended.exit_code, ended.failure, ended.succeeded) == (143, None, False)


def test_a_shell_script_gets_the_arguments_quoted(job: Any) -> None:
    job.code("run.sh", 'printf "%s\\n" "$@" > ../model/arguments\n')

    ended = job.hyperparameters(sagemaker_program="run.sh", text="two words; $HOME").run()

    assert ended.exit_code == 0, ended.output
    assert (job.base / "model/arguments").read_text() == "--text\ntwo words; $HOME\n"


def test_a_failing_shell_command_is_named(job: Any) -> None:
    job.code("run.sh", "#!/bin/sh\nno-such-command --flag\n")

    ended = job.hyperparameters(sagemaker_program="run.sh").run()

    assert "ExitCode 127\n" in ended.failure
    assert "no-such-command" in ended.failure


def test_a_local_folder_becomes_the_source(job: Any, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text(WRITE_RESULT + "write('from the folder')")

    ended = job.hyperparameters(
        sagemaker_program="train.py", sagemaker_submit_directory=str(source)
    ).run()

    assert ended.exit_code == 0, ended.output
    assert job.result() == "from the folder"


def test_a_local_archive_becomes_the_source(job: Any, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(WRITE_RESULT + "write('from the archive')")
    with tarfile.open(tmp_path / "sourcedir.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "train.py", "train.py")

    job.hyperparameters(
        sagemaker_program="train.py",
        sagemaker_submit_directory=str(tmp_path / "sourcedir.tar.gz"),
    ).run()

    assert job.result() == "from the archive"


def test_an_archive_that_climbs_out_of_its_folder_is_refused(job: Any, tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("")
    with tarfile.open(tmp_path / "sourcedir.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "evil.py", "../../evil-was-here.py")

    ended = job.hyperparameters(
        sagemaker_program="train.py",
        sagemaker_submit_directory=str(tmp_path / "sourcedir.tar.gz"),
    ).run()

    assert ended.exit_code == 1
    assert "is not a usable source archive" in ended.failure
    assert not list(tmp_path.rglob("evil-was-here.py"))


def test_a_source_that_is_nowhere_is_named(job: Any) -> None:
    ended = job.hyperparameters(
        sagemaker_program="train.py", sagemaker_submit_directory="/no/such/place"
    ).run()

    assert "sagemaker_submit_directory is '/no/such/place'" in ended.failure


def test_a_filled_code_folder_is_used_as_it_is(job: Any) -> None:
    job.code("train.py", WRITE_RESULT + "write('already here')")

    job.hyperparameters(
        sagemaker_program="train.py", sagemaker_submit_directory="s3://nowhere/at-all.tar.gz"
    ).run()

    assert job.result() == "already here"


@pytest.mark.parametrize(
    "name",
    [
        "sagemaker_mpi_enabled",
        "sagemaker_torch_distributed_enabled",
        "sagemaker_pytorch_ddp_enabled",
        "sagemaker_pytorch_xla_multi_worker_enabled",
        "sagemaker_distributed_dataparallel_enabled",
    ],
)
def test_a_launcher_that_is_not_there_is_refused_and_not_ignored(job: Any, name: str) -> None:
    ended = job.run_script("pass", **{name: True})

    assert ended.exit_code == 1
    assert f"{name} asks for a distributed launcher" in ended.failure


def test_a_launcher_that_is_switched_off_is_not_missed(job: Any) -> None:
    assert job.run_script("pass", sagemaker_mpi_enabled=False).exit_code == 0


def test_the_region_of_the_job_reaches_the_script(job: Any) -> None:
    job.run_script(WRITE_RESULT + "write(os.environ['AWS_REGION'])", sagemaker_region="eu-west-1")

    assert job.result() == "eu-west-1"


def test_the_log_shows_how_the_script_is_invoked(job: Any) -> None:
    ended = job.run_script("pass", epochs=5)

    assert "Invoking script with the following command:" in ended.output
    assert f"{sys.executable} train.py --epochs 5" in ended.output
    assert "SM_HP_EPOCHS=5" in ended.output


@pytest.mark.parametrize("name", ["odd=name", "tab\tname"])
def test_a_name_that_no_variable_can_have_does_not_stop_the_job(job: Any, name: str) -> None:
    job.code("train.py", WRITE_RESULT + "write(json.loads(os.environ['SM_HPS']))")
    job.config("hyperparameters", {"sagemaker_program": "train.py", name: "1"}).run()

    assert {name: 1} == job.result()


def test_libraries_see_that_they_run_in_a_job(job: Any) -> None:
    job.variables |= {"AWS_REGION": "eu-west-1", "TRAINING_JOB_NAME": "job-7"}

    job.run_script(
        WRITE_RESULT + "write([os.environ.get(name) for name in "
        "('SAGEMAKER_JOB_NAME', 'CURRENT_HOST', 'SAGEMAKER_REGION')])",
        sagemaker_job_name="my-job",
    )

    assert job.result() == ["my-job", "algo-1", "eu-west-1"]


def test_a_script_may_import_the_libraries_of_the_original_containers(job: Any) -> None:
    job.config("inputdataconfig", {"train": {}}).config(
        "resourceconfig", {"current_host": "algo-2", "hosts": ["algo-1", "algo-2"]}
    )
    job.variables["SM_STUDIO_LOCAL_MODE"] = "true"

    ended = job.run_script(
        WRITE_RESULT
        + """
import sagemaker_containers
import sagemaker_training.environment
from sagemaker_containers.beta.framework import training_env
from sagemaker_training import environment, logging_config

logging_config.get_logger().info("found")
env = sagemaker_containers.training_env()
assert dict(env) == dict(training_env()) == dict(environment.Environment())
assert not hasattr(env, "nothing")
write([env.hosts, env.current_host, env.is_hetero, env.hyperparameters, env["num_gpus"] >= 0,
       env.channel_input_dirs["train"] == os.environ["SM_CHANNEL_TRAIN"],
       env.model_dir == environment.model_dir == os.environ["SM_MODEL_DIR"], env.to_cmd_args(),
       env.is_master, environment.read_hyperparameters()["sagemaker_program"]])
""",
        epochs=5,
    )

    assert ended.exit_code == 0, ended.output
    assert job.result() == [
        ["algo-1", "algo-2"],
        "algo-2",
        False,
        {"epochs": 5},
        True,
        True,
        True,
        ["--epochs", "5"],
        False,
        "train.py",
    ]
