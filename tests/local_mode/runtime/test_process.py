"""What only the process runtime has: environments, supervisors, and ways out without privileges."""

from __future__ import annotations

import concurrent.futures
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sagelocal.runtime.environments import Environments
from sagelocal.runtime.images import ImageCatalog, ImageFamily
from sagelocal.runtime.interface import RuntimeFault
from sagelocal.runtime.supervisor import proc

Eventually = Callable[[Callable[[], Any]], Any]
SLEEP = "import time; print('ready'); time.sleep(600)"


def _state(handle: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(handle.id) / "state.json").read_text())
    return found


def _catalog_of_my_own(folder: Path) -> tuple[ImageCatalog, ImageFamily]:
    shutil.copytree(Path(__file__).parent / "containers", folder / "containers")
    catalog = ImageCatalog.load(folder / "containers")
    return catalog, catalog.families[0]


def test_a_supervisor_that_is_killed_takes_its_container_along(
    process_place: Any, eventually: Eventually
) -> None:
    handle = process_place.start("python", "-c", SLEEP)
    state = _state(handle)
    os.kill(state["supervisor"], signal.SIGKILL)
    ended = process_place.runtime.wait(handle, 30)
    assert (ended.code, ended.out_of_memory) == (137, False)
    eventually(lambda: proc.start_time(state["child"]) != state["child_started"])
    assert process_place.runtime.stop(handle, 30) == ended


def test_what_a_killed_supervisor_left_is_killed(
    process_place: Any, eventually: Eventually
) -> None:
    spec = process_place.spec("sh", "-c", "sleep 600 & echo $!; wait")
    handle = process_place.start_spec(spec)
    orphan = int(eventually(lambda: process_place.lines(spec))[0])
    started = proc.start_time(orphan)
    assert started is not None
    os.kill(_state(handle)["supervisor"], signal.SIGKILL)
    assert process_place.runtime.wait(handle, 30).code == 137
    eventually(lambda: not proc.is_alive(orphan, started, proc.boot_id()))


def test_a_pid_that_now_means_another_process_is_left_alone(process_place: Any) -> None:
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        handle = process_place.start("true")
        process_place.runtime.wait(handle, 30)
        state = _state(handle) | {"supervisor": bystander.pid, "child": bystander.pid}
        (Path(handle.id) / "exit.json").unlink()
        (Path(handle.id) / "state.json").write_text(json.dumps(state))
        assert process_place.runtime.stop(handle, 0).code == 137
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_container_from_before_a_reboot_counts_as_killed(process_place: Any) -> None:
    handle = process_place.start("sleep", "600")
    state = _state(handle)
    (Path(handle.id) / "state.json").write_text(json.dumps(state | {"boot": "another"}))
    assert process_place.runtime.wait(handle, 30).code == 137
    os.kill(state["supervisor"], signal.SIGUSR2)


def test_where_namespaces_are_refused_the_tree_is_at_the_base_dir(process_place: Any) -> None:
    # The kernel refuses a host name of more than 64 bytes, as it would refuse a mount.
    data = process_place.mount("/opt/ml/input/data/train", {"rows.csv": "1,2\n"}, read_only=True)
    model = process_place.mount("/opt/ml/model")
    ended, lines = process_place.run(
        *("sh", "-c", "cd $SAGEMAKER_BASE_DIR; cat input/data/train/rows.csv; echo w > model/w"),
        mounts=(model, data),
        hostname="x" * 65,
    )
    assert (ended.code, lines[1:]) == (0, ["1,2"])
    assert "private /opt/ml" in lines[0]
    assert "SAGEMAKER_BASE_DIR" in lines[0]
    assert (model.source / "w").read_text() == "w\n"


def test_where_namespaces_are_refused_the_whole_tree_may_be_one_mount(process_place: Any) -> None:
    whole = process_place.mount("/opt/ml", {"f": "1\n"})
    ended, lines = process_place.run(
        "sh", "-c", "cat $SAGEMAKER_BASE_DIR/f", mounts=(whole,), hostname="x" * 65
    )
    assert (ended.code, lines[1:]) == (0, ["1"])


def test_isolation_that_cannot_be_had_is_refused(process_place: Any) -> None:
    with pytest.raises(RuntimeFault, match="does not allow a network of its own"):
        process_place.start("true", network_isolation=True, hostname="x" * 65)
    with pytest.raises(RuntimeFault, match="isolate the network of a container that serves"):
        process_place.start("true", network_isolation=True, port=8080)


def test_mounts_outside_opt_ml_are_the_containers_alone(process_place: Any, tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    beside.write_text("b")
    places = ("/not-there/deep", "/usr/share/not-there", str(tmp_path / "not-there"), "/srv")
    mounts = tuple(
        process_place.mount(place, {"f": place}, read_only=place == "/srv") for place in places
    )
    code = f"""
        import os, pathlib
        for place in {places}:
            print(pathlib.Path(place, "f").read_text())
            try: pathlib.Path(place, "w").write_text("w")
            except OSError as error: print(error.strerror)
        print(os.path.isfile("/etc/hosts"), os.path.isdir("/usr/share/doc"), os.getcwd() != "/")
        print(pathlib.Path({str(beside)!r}).read_text(), os.path.isdir("/opt/ml"))
    """
    ended, lines = process_place.run("python", "-c", textwrap.dedent(code), mounts=mounts)
    refused = "Read-only file system"
    assert (ended.code, lines) == (0, [*places, refused, "True True True", "b True"])
    assert [(mount.source / "w").exists() for mount in mounts] == [True, True, True, False]
    assert not any(map(os.path.exists, places[:3]))
    assert not Path("/srv/f").exists()


def test_mounts_outside_opt_ml_are_refused_where_namespaces_are(process_place: Any) -> None:
    with pytest.raises(RuntimeFault, match="mount at /data: only /opt/ml can be stood in for"):
        process_place.start("true", mounts=(process_place.mount("/data"),), hostname="x" * 65)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden"])
def test_a_name_that_is_no_folders_is_refused(process_place: Any, name: str) -> None:
    with pytest.raises(RuntimeFault, match="no name for a container"):
        process_place.runtime.start(
            process_place.spec("true").__class__(
                name, "probe", process_place.log_path("x"), (), arguments=("true",)
            )
        )


def test_a_container_without_a_command_is_refused(process_place: Any) -> None:
    with pytest.raises(RuntimeFault, match="No command"):
        process_place.start()


def test_secrets_in_the_environment_are_readable_by_the_user_only(process_place: Any) -> None:
    handle = process_place.start("true", environment={"SECRET": "s"})
    assert (Path(handle.id) / "spec.json").stat().st_mode & 0o077 == 0


def test_no_descriptor_of_the_plane_reaches_the_container(process_place: Any) -> None:
    _, lines = process_place.run("sh", "-c", "ls /proc/self/fd")
    # 3 is ls's own, of the folder that it reads.
    assert lines == ["0", "1", "2", "3"]


def test_an_environment_is_built_once_by_many_at_once(tmp_path: Path) -> None:
    catalog, family = _catalog_of_my_own(tmp_path)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = set(
            pool.map(
                lambda _: Environments(tmp_path / "environments", catalog).ready(family), range(4)
            )
        )
    assert len(found) == 1
    probe = found.pop().scripts / "probe"
    assert subprocess.run([probe, "x"], capture_output=True, text=True).stdout == "probe x\n"


def test_an_environment_whose_builder_was_killed_is_built_anew(tmp_path: Path) -> None:
    catalog, family = _catalog_of_my_own(tmp_path)
    environments = Environments(tmp_path / "environments", catalog)
    whole = environments.ready(family)
    (whole.folder / ".complete").unlink()
    (whole.scripts / "probe").unlink()
    assert environments.ready(family) == whole
    assert (whole.scripts / "probe").exists()


def test_changed_sources_make_another_environment(tmp_path: Path) -> None:
    catalog, family = _catalog_of_my_own(tmp_path)
    environments = Environments(tmp_path / "environments", catalog)
    before = environments.ready(family)
    source = family.folder / "sagelocal_probe" / "__init__.py"
    source.write_text(source.read_text().replace('"probe"', '"changed"'))
    after = environments.ready(family)
    assert before != after
    outputs = [
        subprocess.run([e.scripts / "probe"], capture_output=True, text=True).stdout
        for e in (before, after)
    ]
    assert outputs == ["probe\n", "changed\n"]


def test_a_module_beside_the_project_file_counts_and_a_readme_does_not(tmp_path: Path) -> None:
    catalog, family = _catalog_of_my_own(tmp_path)
    environments = Environments(tmp_path / "environments", catalog)
    before = environments.ready(family)
    (family.folder / "README.md").write_text("words")
    assert environments.ready(family) == before
    (family.folder / "helpers.py").write_text("words = 1")
    assert environments.ready(family) != before


def test_an_old_environment_goes_unless_it_is_in_use(tmp_path: Path) -> None:
    catalog, family = _catalog_of_my_own(tmp_path)
    environments = Environments(tmp_path / "environments", catalog)
    found = []
    for number in range(2):
        (family.folder / "sagelocal_probe" / "version.txt").write_text(str(number))
        found.append(environments.ready(family))
    unused, used = found
    with used.in_use():
        for environment in found:
            os.utime(environment.folder / ".complete", (0, 0))
        (family.folder / "sagelocal_probe" / "version.txt").write_text("2")
        newest = environments.ready(family)
    assert [e.folder.exists() for e in (unused, used, newest)] == [False, True, True]


def test_an_environment_that_cannot_be_built_says_why(tmp_path: Path) -> None:
    catalog, family = _catalog_of_my_own(tmp_path)
    family.requirements_lock.write_text("six==1.16.0\nsix==1.15.0\n")
    with pytest.raises(RuntimeFault) as caught:
        Environments(tmp_path / "environments", catalog).ready(family)
    assert "'probe'" in str(caught.value)
    assert "six==1.15.0" in str(caught.value)


def _wheel(folder: Path, name: str, version: str) -> None:
    """An empty package that no index has."""
    folder.mkdir(parents=True)
    meta = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: a\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for file, text in meta.items():
            archive.writestr(f"{name}-{version}.dist-info/{file}", text)


def test_a_familys_own_wheels_are_installed_where_they_are(tmp_path: Path) -> None:
    _, family = _catalog_of_my_own(tmp_path)
    description = family.folder / "image.toml"
    more = '[image]\nwheels = ".build/wheels"\nindex = "http://127.0.0.1:9/simple"'
    description.write_text(description.read_text().replace("[image]", more))
    family.requirements_lock.write_text("sagelocal-nobodys==1.0+mine\n")
    catalog = ImageCatalog.load(tmp_path / "containers")
    family = catalog.families[0]

    assert family.extra_index == "http://127.0.0.1:9/simple"
    with pytest.raises(RuntimeFault, match=r"127\.0\.0\.1:9"):
        Environments(tmp_path / "environments", catalog).ready(family)

    _wheel(tmp_path / ".build/wheels", "sagelocal_nobodys", "1.0+mine")
    assert family.extra_index is None
    made = Environments(tmp_path / "environments", catalog).ready(family)
    assert list(made.folder.glob("lib/*/site-packages/sagelocal_nobodys-1.0+mine.dist-info"))


def test_the_supervisor_imports_little() -> None:
    code = (
        "import sys; sys.path.append(sys.argv[1]); import sagelocal.runtime.supervisor.main; "
        "print(*sys.modules)"
    )
    import_root = str(Path(proc.__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, import_root], capture_output=True, text=True
    )
    heavy = {"dataclasses", "pathlib", "subprocess", "socket", "logging", "inspect"}
    assert not heavy & set(done.stdout.split())
