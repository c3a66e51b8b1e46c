"""Small images made without a builder, for any machine."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence


def saved_image(tag: str, layers: Sequence[bytes], architecture: str = "amd64") -> bytes:
    """An image with a file of those bytes in a layer each, as `docker save` writes it."""
    archives = [_archive({str(number): content}) for number, content in enumerate(layers)]
    digests = [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in archives]
    configuration = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["train"], "Env": ["LANG=C.UTF-8"]},
        "rootfs": {"type": "layers", "diff_ids": digests},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "test"} for _ in layers],
    }
    names = [f"{number}.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": names}]
    return _archive(
        {
            "config.json": json.dumps(configuration).encode(),
            "manifest.json": json.dumps(manifest).encode(),
            **dict(zip(names, archives, strict=True)),
        }
    )


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
