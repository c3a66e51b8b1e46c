"""One page on an image of one's own: the README's commands, run in their order.

The cloud is a second control plane at another address, with a real registry behind its ECR.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image_registry import image_registry
from tests.local_mode.conftest import LocalPlane

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
README = (ROOT / "containers" / "README.md").read_text()
SECTION = README.partition("## An image of one's own")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", SECTION, re.DOTALL | re.MULTILINE)


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Of a user with keys for the cloud, and a plane here that is theirs alone."""
    with image_registry(tmp_path / "registry") as registry:
        cloud = LocalPlane(tmp_path / "cloud", runtime="docker", **registry.settings)
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "SAGELOCAL_"))}
        environment = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "SAGELOCAL_DATA": str(tmp_path / "here"),
            "SAGELOCAL_PORT": "0",
            "SAGELOCAL_RUNTIME": "docker",
            "SAGELOCAL_CONTAINERS_DIR": str(ROOT / "containers"),
            "AWS_ENDPOINT_URL": cloud.url,
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "somebody",
            "AWS_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
        }
        yield environment
        subprocess.run(["sagelocal", "down"], env=environment, check=True, capture_output=True)
        cloud.stop()
        _remove_images("my-image:1", f"{registry.address}/my-image")


def _remove_images(*names: str) -> None:
    """Those of the names, with and without a tag or digest."""
    for name in names:
        found = subprocess.run(
            ["docker", "images", "--quiet", "--no-trunc", name], capture_output=True, text=True
        )
        for image in set(found.stdout.split()):
            subprocess.run(["docker", "image", "rm", "--force", image], capture_output=True)


def test_the_page_from_build_to_a_job_in_the_cloud(
    environment: dict[str, str], tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "containers" / "template", tmp_path / "containers" / "template")
    printed = {}
    # One shell for all of them: `cd` in the first holds for the others.
    script = "\n".join(f"{block}\necho '--- {n}'" for n, block in enumerate(BLOCKS))
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr

    printed = dict(enumerate(re.split(r"^--- \d+$", done.stdout, flags=re.MULTILINE)))
    assert len(BLOCKS) == 5
    assert printed[1].count("my-image:1: nothing broken; ") == 2
    assert re.search(r"/my-image@sha256:[0-9a-f]{64}$", printed[3].strip())
    assert '"TrainingImage": "' in printed[4]
    model = tmp_path / "my-image" / "model-output" / "model" / "model.json"
    assert model.read_text() == '{"answer": 8.0}'
