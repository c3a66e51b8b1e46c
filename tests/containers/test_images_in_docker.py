"""The built images: what they hold, who may run them, and what must not be in them."""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sagelocal.runtime.build import build_images
from sagelocal.runtime.images import ImageCatalog, ImageFamily
from sagelocal.runtime.interface import RuntimeFault, UnknownImage

pytestmark = pytest.mark.docker

CATALOG = ImageCatalog.load()
FAMILIES = [pytest.param(family, id=family.family) for family in CATALOG.families]
MARK = b"a-certificate-authority-that-is-nobodys-business"


def _docker(*arguments: str) -> str:
    return subprocess.run(
        ["docker", *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture(scope="module")
def built() -> None:
    """`make images` has built them."""
    there = _docker("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    missing = [family.tag for family in CATALOG.families if family.tag not in there]
    if missing:
        pytest.fail(f"not built: {', '.join(missing)}; run `make images`")


def _config(family: ImageFamily) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        _docker("image", "inspect", "--format", "{{json .Config}}", family.tag)
    )
    return found


def _sizes() -> list[tuple[str, int]]:
    """The images and megabytes that containers/README.md lists."""
    readme = (CATALOG.containers_dir / "README.md").read_text()
    return [
        (tag, int(size))
        for tag, size in re.findall(r"^\| `(\S+)` \| (\d+) \|", readme, re.MULTILINE)
    ]


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(("tag", "megabytes"), _sizes())
def test_its_size_is_what_the_readme_says(tag: str, megabytes: int) -> None:
    size = int(_docker("image", "inspect", "--format", "{{.Size}}", tag)) / 1e6
    assert size == pytest.approx(megabytes, rel=0.05)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("family", FAMILIES)
class TestImage:
    """Every family's image."""

    def test_it_has_the_environment_and_labels_of_image_toml(self, family: ImageFamily) -> None:
        config = _config(family)
        environment = dict(entry.split("=", 1) for entry in config["Env"])
        assert CATALOG.environment(family).items() <= environment.items()
        assert family.labels.items() <= config["Labels"].items()

    def test_train_and_serve_are_commands_of_it(self, family: ImageFamily) -> None:
        found = _docker("run", "--rm", family.tag, "which", "train", "serve", "python", "pip")
        assert found.splitlines() == [
            f"/opt/venv/bin/{name}" for name in ("train", "serve", "python", "pip")
        ]

    def test_its_packages_fit_together(self, family: ImageFamily) -> None:
        listed = json.loads(_docker("run", "--rm", family.tag, "pip", "list", "--format=json"))
        names = [package["name"].lower() for package in listed]
        assert len(names) == len(set(names))
        if family.package:
            _docker("run", "--rm", family.tag, "pip", "check")
            modules = [value.split(":")[0] for value in family.environment.values() if ":" in value]
            _docker("run", "--rm", family.tag, "python", "-c", f"import {', '.join(modules)}")

    def test_any_user_may_run_it(self, family: ImageFamily) -> None:
        script = "import sagelocal_train, sagelocal_serve, pathlib\n"
        script += "pathlib.Path('/opt/ml/model').mkdir(); print('written')"
        options = ("--rm", "--user", "1234:5678", "--cap-drop", "ALL")
        assert _docker("run", *options, family.tag, "python", "-c", script) == "written"

    def test_nothing_of_the_build_stage_is_left(self, family: ImageFamily) -> None:
        script = "test ! -e /build && test ! -e /delta && ls -A /tmp"
        assert _docker("run", "--rm", family.tag, "sh", "-c", script) == ""


@pytest.mark.slow
def test_no_layer_holds_the_private_certificate_authority(tmp_path: Path) -> None:
    context = _context_with_a_marked_certificate(tmp_path)
    base = ImageCatalog.load(context / "containers").families[0]
    tag = "sagelocal/base:marked"
    try:
        subprocess.run(
            [
                *("docker", "build", "--quiet", "--tag", tag, "--file", str(base.dockerfile)),
                *("--build-arg", f"BASE_IMAGE={_python_image()}", str(context)),
            ],
            check=True,
            capture_output=True,
        )
        assert _bytes_of_layers_hold(tag, b"sagelocal_serve.cli")
        assert not _bytes_of_layers_hold(tag, MARK)
    finally:
        subprocess.run(["docker", "rmi", tag], capture_output=True)


@pytest.mark.usefixtures("built")
def test_a_command_is_process_1_and_gets_the_signals() -> None:
    code = (
        "import os, signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(9)); "
        "print(os.getpid(), flush=True); signal.pause()"
    )
    container = _docker("run", "--detach", "sagelocal/base:1", "python", "-c", code)
    try:
        with subprocess.Popen(
            ["docker", "logs", "--follow", container], stdout=subprocess.PIPE, text=True
        ) as logs:
            assert logs.stdout is not None
            assert logs.stdout.readline() == "1\n"
            _docker("stop", "--time", "30", container)
        state = _docker("inspect", "--format", "{{.State.ExitCode}}", container)
    finally:
        _docker("rm", "--force", container)
    assert state == "9"


@pytest.mark.usefixtures("built")
def test_a_build_that_fails_is_said_after_what_it_builds_on(tmp_path: Path) -> None:
    for family, base, step in (("fine", "python", "true"), ("broken", "fine", "exit 3")):
        folder = tmp_path / "containers" / family
        folder.mkdir(parents=True)
        (folder / "image.toml").write_text(
            f'[image]\nfamily = "{family}"\ntag = "sagelocal/{family}:test"\n'
            f'base = "{base}"\nnames = ["{family}-repository"]\n'
        )
        (folder / "Dockerfile").write_text(f"ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nRUN {step}\n")
    images = ImageCatalog.load(tmp_path / "containers")
    scripts = tmp_path / "containers" / "base"
    scripts.mkdir()
    shutil.copy(CATALOG.containers_dir / "base" / "make_base.sh", scripts)
    try:
        with pytest.raises(RuntimeFault, match="sagelocal/broken:test could not be built"):
            build_images(images, ["broken-repository"])
        assert _docker("image", "inspect", "--format", "{{.RepoTags}}", "sagelocal/fine:test")
    finally:
        subprocess.run(["docker", "rmi", "sagelocal/fine:test"], capture_output=True)


def test_a_name_that_means_no_family_is_said() -> None:
    with pytest.raises(UnknownImage, match="'nobody'"):
        build_images(CATALOG, ["nobody"])


def _context_with_a_marked_certificate(folder: Path) -> Path:
    """A copy of what the base is built from, with a bundle that can be recognised."""
    context = folder / "checkout"
    for name in (
        "train",
        "serve",
        "containers/formats",
        "containers/requirements",
        "containers/originals",
        "containers/base",
    ):
        shutil.copytree(
            CATALOG.root / name, context / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(CATALOG.root / ".dockerignore", context)
    (context / ".build").mkdir()
    offered = CATALOG.root / ".build" / "ca.pem"
    bundle = offered.read_bytes() if offered.exists() else b""
    if not bundle:
        bundle = Path(ssl.get_default_verify_paths().openssl_cafile).read_bytes()
    (context / ".build" / "ca.pem").write_bytes(b"# " + MARK + b"\n" + bundle)
    return context


def _python_image() -> str:
    script = CATALOG.containers_dir / "base" / "make_base.sh"
    return subprocess.run(
        ["sh", str(script)], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def _bytes_of_layers_hold(tag: str, mark: bytes) -> bool:
    """Search what `docker save` gives; its layers are tar files that are not compressed."""
    with subprocess.Popen(["docker", "save", tag], stdout=subprocess.PIPE) as saved:
        assert saved.stdout is not None
        before, found = b"", False
        while part := saved.stdout.read(1 << 20):
            found = found or mark in before + part
            before = part[-len(mark) :]
        assert before
    return found
