"""Script mode through the console script: the user's files on one side, HTTP on the other."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.package_index import create_on_top, create_with_pip, make_wheel

Start = Callable[..., Any]


@pytest.fixture
def code_dir(model_dir: Path) -> Path:
    (model_dir / "code").mkdir()
    return model_dir / "code"


def _write(path: Path, source: str) -> None:
    path.write_text(dedent(source))


SCRIPT = """
    def model_fn(model_dir):
        return 10

    def predict_fn(data, model):
        return data * model
"""


def test_script_answers(start_server: Start, code_dir: Path) -> None:
    _write(code_dir / "inference.py", SCRIPT)
    server = start_server().wait_until_ready()
    assert json.loads(server.invoke(b"1,2", "text/csv").body) == [10.0, 20.0]
    assert server.invoke(b"1", "image/tiff").status == 415


def test_answer_is_in_the_default_format_of_the_environment(
    start_server: Start, code_dir: Path
) -> None:
    _write(code_dir / "inference.py", SCRIPT)
    server = start_server(SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="text/csv").wait_until_ready()
    answer = server.invoke(b"1,2", "text/csv")
    assert (answer.body, answer.headers["Content-Type"]) == (b"10.0\n20.0\n", "text/csv")


def test_custom_attributes_go_in_and_out(start_server: Start, code_dir: Path) -> None:
    _write(
        code_dir / "inference.py",
        """
        def model_fn(model_dir):
            return None

        def transform_fn(model, body, content_type, accept, context):
            context.set_response_custom_attributes(context.custom_attributes.upper())
            return "done"
        """,
    )
    server = start_server().wait_until_ready()
    name = "X-Amzn-SageMaker-Custom-Attributes"
    assert server.invoke(b"1", **{name: "trace=7"}).headers[name] == "TRACE=7"


def test_error_in_the_script_is_in_the_log_with_its_trace_and_a_500(
    start_server: Start, code_dir: Path
) -> None:
    _write(code_dir / "inference.py", SCRIPT.replace("data * model", 'data["age"] / 0'))
    server = start_server().wait_until_ready()
    answer = server.invoke(b"1,2", "text/csv")
    assert answer.status == 500
    assert "IndexError" in json.loads(answer.body)["message"]
    server.wait_for_line(r'inference\.py", line \d+, in predict_fn')


def test_script_that_cannot_be_imported_is_a_dead_model(
    start_server: Start, code_dir: Path, wait_until: Callable[..., None]
) -> None:
    _write(code_dir / "inference.py", "import surely_not_installed")
    server = start_server()
    wait_until(lambda: server.request("GET", "/ping").status == 500)
    answer = json.loads(server.request("GET", "/ping").body)
    assert "No module named 'surely_not_installed'" in answer["message"]


def test_image_without_a_script_says_what_is_missing(
    start_server: Start, wait_until: Callable[..., None]
) -> None:
    server = start_server()
    wait_until(lambda: server.request("GET", "/ping").status == 500)
    assert (
        "no default for model_fn, predict_fn"
        in json.loads(server.request("GET", "/ping").body)["message"]
    )


def test_what_a_script_prints_is_seen_at_once(start_server: Start, code_dir: Path) -> None:
    _write(code_dir / "inference.py", "print('hello from the script')\n" + dedent(SCRIPT))
    start_server().wait_for_line("hello from the script")


@pytest.fixture
def environment_of_its_own(tmp_path: Path) -> Path:
    """The Python of a virtual environment that sees this one's packages and may be changed."""
    return create_on_top(tmp_path / "venv", Path(sys.executable))


def test_requirements_beside_the_script_are_installed_first(
    start_server: Start, code_dir: Path, environment_of_its_own: Path
) -> None:
    _write(code_dir / "requirements.txt", f"./{make_wheel(code_dir, 'test_package').name}\n")
    script = f"import test_package as p\n{dedent(SCRIPT)}".replace("10", "float(p.VERSION) + 6")
    _write(code_dir / "inference.py", script)
    # uv is one of the packages that the tests' own environment has.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    server = start_server(command=[environment_of_its_own, "-m", "sagelocal_serve"], PATH=path)
    assert json.loads(server.wait_until_ready().invoke(b"1,2", "text/csv").body) == [7.0, 14.0]


def test_requirement_that_cannot_be_installed_is_a_dead_model(
    start_server: Start, code_dir: Path, wait_until: Callable[..., None]
) -> None:
    _write(code_dir / "inference.py", SCRIPT)
    _write(code_dir / "requirements.txt", "./there-is-no-such-package.whl\n")
    server = start_server()
    wait_until(lambda: server.request("GET", "/ping").status == 500)
    message = json.loads(server.request("GET", "/ping").body)["message"]
    assert "requirements.txt could not be installed" in message


def test_the_next_container_with_the_same_requirements_installs_nothing(
    start_server: Start, code_dir: Path, base_dir: Path, tmp_path: Path
) -> None:
    image = create_with_pip(tmp_path / "image")
    create_on_top(tmp_path / "image", Path(sys.executable))
    wheel = make_wheel(tmp_path, "test_package", "7")
    _write(code_dir / "requirements.txt", "test_package\n")
    script = f"import test_package as p\n{dedent(SCRIPT)}".replace("10", "float(p.VERSION)")
    _write(code_dir / "inference.py", script)
    (base_dir / ".packages").mkdir()

    for name in ("first", "second"):
        python = create_on_top(tmp_path / name, image)
        server = start_server(
            command=[python, "-m", "sagelocal_serve"],
            PIP_NO_INDEX="1",
            PIP_FIND_LINKS=str(tmp_path),
        ).wait_until_ready()
        assert json.loads(server.invoke(b"1,2", "text/csv").body) == [7.0, 14.0]
        wheel.unlink(missing_ok=True)
    server.wait_for_line("Nothing to install: these packages are kept in ")


def test_a_package_that_cannot_be_had_is_named_in_what_ping_says(
    start_server: Start, code_dir: Path, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    create_on_top(tmp_path / "image", Path(sys.executable))
    python = create_with_pip(tmp_path / "image")
    _write(code_dir / "inference.py", SCRIPT)
    _write(code_dir / "requirements.txt", "no-such-package\n")
    server = start_server(command=[python, "-m", "sagelocal_serve"], PIP_NO_INDEX="1")
    wait_until(lambda: server.request("GET", "/ping").status == 500)
    message = json.loads(server.request("GET", "/ping").body)["message"]
    assert "could not be installed (exit status 1). 'no-such-package' is not in the" in message
