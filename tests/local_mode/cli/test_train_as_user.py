"""`sagelocal train` for a user without rights: what is left is the user's own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

AS_USER = Path(__file__).parents[2] / "another_user.py"
SAGELOCAL = Path(sys.executable).with_name("sagelocal")

SCRIPT = """
    import os, sys
    from pathlib import Path

    print("user", os.getuid())
    model, data = Path(os.environ["SM_MODEL_DIR"]), Path(os.environ["SM_OUTPUT_DATA_DIR"])
    for folder in (model, data):
        (folder / "deep").mkdir(mode=0o700)
        (folder / "deep" / "file").write_text("content")
        (folder / "deep" / "file").chmod(0o600)
    channel = Path(os.environ["SM_CHANNEL_TRAIN"])
    (channel / "data.csv").write_text("changed")
    (channel / "new").mkdir(mode=0o700)
    sys.exit(int(os.environ["ENDS_WITH"]))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with code and data, where everybody may go."""
    path = Path(tempfile.mkdtemp(prefix="sagelocal-user-"))
    (path / "code").mkdir()
    (path / "code" / "train.py").write_text(textwrap.dedent(SCRIPT))
    (path / "data.csv").write_text("a,b\n")
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize(
    ("runtime", "ends_with"),
    [
        ("process", 0),
        pytest.param("docker", 0, marks=pytest.mark.docker),
        pytest.param("docker", 3, marks=pytest.mark.docker),
    ],
)
def test_what_a_container_of_roots_leaves_is_the_users(
    folder: Path, runtime: str, ends_with: int
) -> None:
    options = ["--image", "base", "--channel", "train=data.csv", "--env", f"ENDS_WITH={ends_with}"]
    command = [str(SAGELOCAL), "train", "code", *options, "--runtime", runtime]
    done = subprocess.run(
        [sys.executable, str(AS_USER), str(folder), *command], capture_output=True, text=True
    )
    assert done.returncode == (1 if ends_with else 0), done.stdout + done.stderr
    assert "user 0" in done.stdout.splitlines()
    for kind in ("model", "data"):
        assert (folder / "model-output" / kind / "deep" / "file").read_text() == "content"
    assert (folder / "data.csv").read_text() == "a,b\n"
    seen = {path.name for path in folder.iterdir()} - {".cache", ".local"}
    assert seen == {"code", "data.csv", "model-output"}
    assert {path.lstat().st_uid for path in folder.rglob("*")} == {folder.stat().st_uid}
    assert folder.stat().st_uid != 0


@pytest.fixture
def bare_image(folder: Path) -> Iterator[str]:
    """An image that can train, and cannot give files back to their user."""
    tag = f"sagelocal-test-bare:{folder.name}"
    train = "umask 077; mkdir /opt/ml/model/deep; echo content >/opt/ml/model/deep/file"
    dockerfile = f"""
        FROM sagelocal/base:1
        RUN rm /bin/chown; echo '{train}' >/bin/bare-train; chmod +x /bin/bare-train
        ENTRYPOINT ["sh", "/bin/bare-train"]
    """
    build = ["docker", "build", "-q", "-t", tag, "-"]
    subprocess.run(build, input=textwrap.dedent(dockerfile), text=True, check=True)
    yield tag
    subprocess.run(["docker", "rmi", "-f", tag], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.docker
def test_another_image_gives_files_back_where_the_jobs_own_cannot(
    folder: Path, bare_image: str
) -> None:
    command = [str(SAGELOCAL), "train", bare_image, "--runtime", "docker"]
    done = subprocess.run(
        [sys.executable, str(AS_USER), str(folder), *command], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    left = folder / "model-output" / "model" / "deep" / "file"
    assert left.read_text() == "content\n"
    assert {path.lstat().st_uid for path in folder.rglob("*")} == {folder.stat().st_uid}
    assert not list(folder.glob(".sagelocal-*"))
