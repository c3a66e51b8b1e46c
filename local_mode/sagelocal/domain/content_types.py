"""The media types of data in files and in request bodies, as SageMaker's algorithms name them.

Source: developer guide, "Common Data Formats for Training" and "Common Data Formats for Inference".
"""

from __future__ import annotations

from pathlib import PurePath

CSV = "text/csv"
JSON = "application/json"
OCTET_STREAM = "application/octet-stream"

_BY_SUFFIX = {
    ".csv": CSV,
    ".json": JSON,
    ".jsonl": "application/jsonlines",
    ".jsonlines": "application/jsonlines",
    ".libsvm": "text/libsvm",
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
    ".parquet": "application/x-parquet",
    ".pbr": "application/x-recordio-protobuf",
    ".rec": "application/x-recordio",
    ".svm": "text/libsvm",
    ".txt": "text/plain",
    **dict.fromkeys((".gif", ".jpeg", ".jpg", ".png"), "application/x-image"),
}
_JSON_BEGINS = (b"{", b"[")


def of_file(name: str | PurePath) -> str | None:
    """The type that a file's suffix stands for; None for a suffix that says nothing."""
    return _BY_SUFFIX.get(PurePath(name).suffix.lower())


def of_text(body: bytes) -> str:
    """JSON or CSV, whichever a body that was typed looks like."""
    return JSON if body.lstrip().startswith(_JSON_BEGINS) else CSV
