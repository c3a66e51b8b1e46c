"""The shelf with the real pip: containers are environments of their own on top of a common one."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sagelocal_requirements import identity, shelf, shelved

from tests.package_index import Index, create_on_top, create_with_pip, make_wheel, serving

SOURCES = Path(__file__).parents[2] / "containers/requirements"
# What a toolkit does: install by the shelf, and let later interpreters have it.
INSTALL = """
import logging, os, subprocess, sys
from pathlib import Path
from sagelocal_requirements import explain, shelved

def run(command):
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(explain(done.stderr) or done.stderr)

logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
layer = shelved(Path(sys.argv[1]), Path(sys.argv[2]), os.environ, run)
print("joined" if layer else "nothing joined")
if layer:
    layer.join()
    if "enter" in sys.argv:
        layer.enter()
        import under
        print("entered", under.VERSION)
"""


@dataclass
class Container:
    """One container: its Python, and the shelf that it has in common with others."""

    python: Path
    base: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def shelf(self) -> Path:
        return self.base / ".packages"

    @property
    def kept(self) -> list[str]:
        """What is on the shelf besides locks."""
        return sorted(path.name for path in self.shelf.iterdir() if path.suffix != ".lock")

    def start(self, requirements: Path, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.python, "-c", INSTALL, requirements, self.base, *arguments],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCES), **self.variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def install(self, requirements: Path, *arguments: str) -> str:
        """What was printed; it ends with `joined` where all went well."""
        return self.start(requirements, *arguments).communicate()[0]

    def prints(self, *command: str | Path) -> str:
        """What a program of the container's prints."""
        return subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, check=True
        ).stdout.strip()

    def version_of(self, name: str) -> str:
        return self.prints(self.python, "-c", f"import {name}; print({name}.VERSION)")


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an image, which has pip and `under` 1.0."""
    folder = tmp_path_factory.mktemp("image")
    python = create_with_pip(folder / "venv")
    wheel = make_wheel(folder, "under")
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-index", wheel], check=True)
    return python


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    (tmp_path / "wheels").mkdir()
    with serving(tmp_path / "wheels") as index:
        yield index


@pytest.fixture
def containers(tmp_path: Path, common: Path, index: Index) -> list[Container]:
    """Two of one image on one machine."""
    (tmp_path / "opt-ml/.packages").mkdir(parents=True)
    found = []
    for name in ("first", "second"):
        python = create_on_top(tmp_path / name, common)
        found.append(Container(python, tmp_path / "opt-ml", dict(index.variables)))
    return found


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    return tmp_path / "code/requirements.txt"


def test_the_next_container_installs_nothing_and_needs_no_network(
    tmp_path: Path, containers: list[Container], requirements: Path
) -> None:
    first, second = containers
    requirements.write_text("wanted==1.0  # as in the paper\n")
    (tmp_path / "elsewhere").mkdir()
    make_wheel(tmp_path / "elsewhere", "wanted", requires=("helper",))
    make_wheel(tmp_path / "elsewhere", "helper", "3.0")
    with serving(tmp_path / "elsewhere") as index:
        first.variables = second.variables = index.variables
        said = first.install(requirements)

    again = second.install(requirements)

    assert "Successfully installed helper-3.0 wanted-1.0" in said
    assert "Packages of requirements.txt: helper 3.0, wanted 1.0" in said
    assert "Nothing to install" in again
    assert [c.version_of("wanted") for c in containers] == ["1.0", "1.0"]
    assert [c.version_of("helper") for c in containers] == ["3.0", "3.0"]


def test_two_containers_at_once_install_once(
    containers: list[Container], requirements: Path, index: Index
) -> None:
    make_wheel(index.folder, "wanted")
    requirements.write_text("wanted\n")

    started = [container.start(requirements) for container in containers]
    said = [process.communicate()[0] for process in started]

    assert [text.splitlines()[-1] for text in said] == ["joined", "joined"]
    assert index.downloads("wanted") == 1
    assert len(containers[0].kept) == 1
    assert [container.version_of("wanted") for container in containers] == ["1.0", "1.0"]


def test_what_failed_leaves_nothing_and_names_the_package(
    containers: list[Container], requirements: Path, index: Index
) -> None:
    first, second = containers
    make_wheel(index.folder, "wanted", requires=("forgotten>=2",))
    requirements.write_text("wanted\n")

    said = first.install(requirements)
    left = first.kept
    make_wheel(index.folder, "forgotten", "2.0")
    again = second.install(requirements)

    assert "'forgotten>=2', which 'wanted' needs, is not in the package index that was" in said
    assert left == []
    assert "Successfully installed forgotten-2.0 wanted-1.0" in again


def test_one_that_is_killed_leaves_none_that_others_take(
    containers: list[Container], requirements: Path, index: Index
) -> None:
    first, second = containers
    make_wheel(index.folder, "wanted")
    requirements.write_text("wanted\n")
    index.held.clear()
    doomed = first.start(requirements)
    assert index.reached.wait(60)
    doomed.send_signal(signal.SIGKILL)
    index.held.set()
    doomed.communicate()

    assert second.install(requirements).endswith("joined\n")
    assert second.version_of("wanted") == "1.0"
    assert len([name for name in second.kept if not name.startswith(".new-")]) == 1


def test_no_network_is_said_with_the_package_and_what_to_do(
    tmp_path: Path, containers: list[Container], requirements: Path
) -> None:
    with serving(tmp_path) as gone:
        containers[0].variables = gone.variables
    requirements.write_text("wanted\n")

    said = containers[0].install(requirements)

    assert "'wanted' cannot be fetched: the package index does not answer" in said
    assert "name them in requirements.txt (./NAME.whl)" in said


def test_a_version_other_than_the_images_goes_before_it(
    containers: list[Container], requirements: Path, index: Index
) -> None:
    make_wheel(index.folder, "under", "2.0")
    requirements.write_text("under>=2\n")

    said = [container.install(requirements, "enter") for container in containers]

    assert index.downloads("under") == 1
    assert [text.splitlines()[-1] for text in said] == ["entered 2.0", "entered 2.0"]
    assert [container.version_of("under") for container in containers] == ["2.0", "2.0"]


def test_what_is_there_already_is_not_installed(
    containers: list[Container], requirements: Path, index: Index
) -> None:
    requirements.write_text("under\n")

    said = containers[0].install(requirements)

    assert "Packages of requirements.txt: all there already" in said
    assert index.asked == []


def test_scripts_run_with_the_python_of_the_container_that_runs_them(
    containers: list[Container], requirements: Path, index: Index
) -> None:
    make_wheel(index.folder, "wanted", scripts={"want": "wanted:main"})
    requirements.write_text("wanted\n")

    for container in containers:
        container.install(requirements)

        script = container.python.with_name("want")
        assert container.prints(script) == "wanted 1.0"
        assert str(container.python) in script.read_text()


def test_what_a_script_installs_itself_counts_more_and_stays_its_own(
    containers: list[Container], requirements: Path, index: Index
) -> None:
    first, second = containers
    make_wheel(index.folder, "wanted")
    requirements.write_text("wanted\n")
    first.install(requirements)
    wheel = make_wheel(index.folder, "wanted", "2.0")

    first.prints(first.python, "-m", "pip", "install", "--no-index", wheel)
    second.install(requirements)

    assert first.version_of("wanted") == "2.0"
    assert second.version_of("wanted") == "1.0"


def test_without_a_shelf_nothing_is_done(
    tmp_path: Path, containers: list[Container], requirements: Path
) -> None:
    containers[0].base = tmp_path / "as-in-the-cloud"
    requirements.write_text("wanted\n")

    assert containers[0].install(requirements) == "nothing joined\n"


def test_what_may_change_is_not_kept(containers: list[Container], requirements: Path) -> None:
    requirements.write_text("-e .\n")

    said = containers[0].install(requirements)

    assert "requirements.txt is installed anew: `-e .` is installed as a link" in said
    assert said.endswith("nothing joined\n")
    assert containers[0].kept == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_shelf_that_cannot_be_written_is_no_obstacle(
    containers: list[Container], requirements: Path
) -> None:
    containers[0].shelf.chmod(0o555)
    requirements.write_text("wanted\n")

    assert "is installed for this container alone" in containers[0].install(requirements)


@pytest.fixture
def requested(tmp_path: Path, requirements: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this very process looks for what `requirements` asks for, with a pip that does it."""
    (tmp_path / ".packages").mkdir()
    requirements.write_text("wanted\n")
    monkeypatch.setattr(shelf, "has_pip", lambda: True)
    monkeypatch.setattr(shelf, "installer", lambda python: [str(python)])
    here = identity.environment(without=tmp_path / ".packages")
    return tmp_path / ".packages" / f"{identity.request(requirements, {})}-{here}"


def test_a_file_system_that_refuses_locks_is_no_obstacle(
    tmp_path: Path, requirements: Path, requested: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    requested.mkdir()
    monkeypatch.setattr(fcntl, "flock", refused)

    assert shelved(requirements, tmp_path, {}, lambda command: None) is None


def test_packages_that_cannot_get_their_name_are_not_said_to_be_there(
    tmp_path: Path, requirements: Path, requested: Path
) -> None:
    def installed(command: list[str]) -> None:
        requested.write_text("in the way")

    assert shelved(requirements, tmp_path, {}, installed) is None
    assert {path.name for path in requested.parent.iterdir()} == {
        requested.name,
        f"{requested.name}.lock",
    }
