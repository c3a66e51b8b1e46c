"""libsvm, Parquet, .npz and pictures as bodies of requests, through the default input_fn."""

from __future__ import annotations

import contextlib
import io
import math
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from PIL import Image
from sagelocal_formats.libsvm import LibsvmRows, write_libsvm
from sagelocal_formats.parquet import write_parquet
from sagelocal_formats.record_protobuf import encode_rows, encode_sparse
from sagelocal_formats.rows import SparseRows
from sagelocal_serve import BadRequest, ServeError, UnsupportedMediaType
from sagelocal_serve.codecs import npz
from sagelocal_serve.codecs.defaults import input_fn

LIBSVM, PARQUET, NPZ = "text/libsvm", "application/x-parquet", "application/x-npz"
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=6)
MATRICES = hnp.arrays(np.float32, SHAPES, elements=FINITE)


def sparse_rows(matrix: NDArray[np.float32]) -> SparseRows:
    found = scipy.sparse.csr_matrix(matrix)
    return SparseRows(
        found.indptr.astype(np.int64), found.indices.astype(np.int64), found.data, matrix.shape[1]
    )


# --- libsvm ------------------------------------------------------------------------------------


@given(MATRICES, st.booleans())
def test_libsvm_gives_the_features_with_labels_or_without(
    matrix: NDArray[np.float32], labelled: bool
) -> None:
    matrix[0, -1] = 1  # or the width could not be told
    matrix[:, 0] = 1  # or a row without a label could be an empty line
    stream = io.BytesIO()
    write_libsvm(stream, LibsvmRows(sparse_rows(matrix), np.arange(len(matrix), dtype=np.float32)))
    body = stream.getvalue()
    if not labelled:
        body = b"".join(line.split(b" ", 1)[1] for line in body.splitlines(keepends=True))
    assert_array_equal(input_fn(body, LIBSVM), matrix)


def test_libsvm_counts_columns_from_zero_and_passes_over_comments() -> None:
    body = b"# weights\n0:1 2:3 # first\r\n\n1 1:5\n"
    assert input_fn(body, "text/x-libsvm; charset=utf-8").tolist() == [[1, 0, 3], [0, 5, 0]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"0:1\n0:x", "the body, line 2: the value of the column 0 is 'x', not a number"),
        (b"1 0:1 0:2", "the body, line 1: the column 0 is there twice"),
        (b"\n\n", "has no rows"),
        (b"0:1\n4294967295:1", "2 records of 4294967296 features are too many"),
        (b"\xff\xfe0:1", "line 1"),
    ],
)
def test_libsvm_that_cannot_be_read_is_told(body: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        input_fn(body, LIBSVM)


# --- recordio-protobuf -------------------------------------------------------------------------


@given(MATRICES, st.booleans())
def test_recordio_protobuf_gives_a_dense_matrix(matrix: NDArray[np.float32], sparse: bool) -> None:
    body = encode_sparse(sparse_rows(matrix)) if sparse else encode_rows({"values": matrix})
    assert_array_equal(input_fn(body, "application/x-recordio-protobuf"), matrix)


# --- Parquet -----------------------------------------------------------------------------------


def parquet(matrix: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    write_parquet(stream, matrix)
    return stream.getvalue()


@settings(deadline=None)  # the first example loads pyarrow
@given(MATRICES)
def test_parquet_gives_its_rows(matrix: NDArray[np.float32]) -> None:
    assert_array_equal(input_fn(parquet(matrix), PARQUET), matrix)
    assert_array_equal(input_fn(parquet(matrix), "application/vnd.apache.parquet"), matrix)


def test_parquet_gives_nan_where_there_is_no_value() -> None:
    assert_array_equal(input_fn(parquet(np.array([[1, math.nan]])), PARQUET), [[1, math.nan]])


def test_parquet_of_more_rows_than_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagelocal_serve.codecs.dense.MAX_CELLS", 1000)
    with pytest.raises(BadRequest, match="too many for one request"):
        input_fn(parquet(np.zeros((600, 2))), PARQUET)


# --- npz ---------------------------------------------------------------------------------------


@given(MATRICES, st.sampled_from(["csr", "csc", "coo"]), st.booleans())
def test_npz_gives_the_sparse_matrix_of_scipy(
    matrix: NDArray[np.float32], layout: str, compressed: bool
) -> None:
    stream = io.BytesIO()
    made = scipy.sparse.csr_matrix(matrix).asformat(layout)
    scipy.sparse.save_npz(stream, made, compressed=compressed)
    back = input_fn(stream.getvalue(), NPZ)
    assert back.format == layout
    assert_array_equal(back.toarray(), matrix)


def archive(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def test_npz_of_one_array_gives_it() -> None:
    assert input_fn(archive(x=np.arange(3)), NPZ).tolist() == [0, 1, 2]


class Bomb:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return pytest.fail, ("the pickle was opened",)


def zipped(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr(name, content)
    return stream.getvalue()


CSR = {"format": b"csr", "data": [1.0], "indices": [0], "indptr": [0, 1], "shape": [1, 1]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"PK\x03\x04", "is not an .npz file"),
        (archive(x=[1], y=[2]), "holds 2 arrays"),
        (archive(x=np.array([Bomb()])), "holds Python objects"),
        (zipped("x.npy", pickle.dumps(Bomb())), "is not an .npy file"),
        (archive(**{**CSR, "indices": [7]}), "do not fit"),
        (archive(**{**CSR, "indptr": [0, 9]}), "do not fit"),
        (archive(**{**CSR, "shape": [-1, 1]}), "do not fit"),
        (archive(**{**CSR, "format": b"dia"}), "of the format 'dia'"),
        (archive(format=b"csr", data=[1.0]), "has no shape, indices, indptr"),
    ],
)
def test_npz_that_cannot_be_read_is_told(body: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        input_fn(body, NPZ)


def test_npz_is_unpacked_only_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "MAX_BYTES", 1000)
    stream = io.BytesIO()
    np.savez_compressed(stream, x=np.zeros(10_000))
    with pytest.raises(BadRequest, match="unpacks to more than 1000 bytes"):
        input_fn(stream.getvalue(), NPZ)


# --- pictures ----------------------------------------------------------------------------------


def drawn(pixels: NDArray[np.uint8], kind: str, mode: str | None = None) -> bytes:
    stream = io.BytesIO()
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(stream, kind)
    return stream.getvalue()


PIXELS = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))


@settings(deadline=None)
@given(PIXELS, st.sampled_from(["image/png", "application/x-image"]))
def test_a_png_gives_its_pixels(pixels: NDArray[np.uint8], content_type: str) -> None:
    assert_array_equal(input_fn(drawn(pixels, "PNG"), content_type), pixels)


def test_a_jpeg_gives_nearly_its_pixels() -> None:
    pixels = np.full((8, 10, 3), (200, 100, 50), np.uint8)
    for content_type in ("image/jpeg", "image/jpg", "application/x-image"):
        back = input_fn(drawn(pixels, "JPEG"), content_type)
        assert back.shape == (8, 10, 3)
        assert np.abs(back.astype(int) - pixels).max() < 10


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA"])
def test_any_kind_of_picture_becomes_three_colours(mode: str) -> None:
    white = np.full((2, 3, 3), 255, np.uint8)
    assert_array_equal(input_fn(drawn(white, "PNG", mode), "image/png"), white)


def test_grey_of_sixteen_bits_keeps_the_upper_eight() -> None:
    stream = io.BytesIO()
    Image.fromarray(np.array([[0x1234, 0xFF00]], np.uint16)).save(stream, "PNG")
    assert input_fn(stream.getvalue(), "image/png").tolist() == [[[0x12] * 3, [0xFF] * 3]]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"no picture", "image/png"),
        (drawn(np.zeros((64, 64, 3), np.uint8), "PNG")[:-40], "image/png"),
        (drawn(np.zeros((2, 2, 3), np.uint8), "PNG"), "image/jpeg"),
        (drawn(np.zeros((2, 2, 3), np.uint8), "TIFF"), "application/x-image"),
    ],
    ids=["none", "cut", "another", "tiff"],
)
def test_what_is_no_such_picture_is_told(body: bytes, content_type: str) -> None:
    with pytest.raises(BadRequest, match="is no whole picture"):
        input_fn(body, content_type)


@pytest.mark.parametrize("side", [1 << 13, 1 << 14])
def test_a_picture_that_says_it_is_huge_is_not_unpacked(side: int) -> None:
    small = drawn(np.zeros((1, 1, 3), np.uint8), "BMP")
    huge = small[:18] + struct.pack("<II", 1 << 14, side) + small[26:]
    with pytest.raises(BadRequest, match="has more than 67108864 pixels"):
        input_fn(huge, "application/x-image")


# --- all of them -------------------------------------------------------------------------------

MATRIX = np.array([[1, 0, 2], [0, 3, 0]], np.float32)
STREAM = io.BytesIO()
scipy.sparse.save_npz(STREAM, scipy.sparse.csr_matrix(MATRIX))
VALID = {
    LIBSVM: b"1 0:1 2:2\n0 1:3\n",
    PARQUET: parquet(MATRIX),
    NPZ: STREAM.getvalue(),
    "application/x-recordio-protobuf": encode_rows({"values": MATRIX}),
    "image/png": drawn(np.zeros((4, 4, 3), np.uint8), "PNG"),
    "image/jpeg": drawn(np.zeros((4, 4, 3), np.uint8), "JPEG"),
}


@settings(deadline=None)
@given(
    st.sampled_from(sorted(VALID)),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
    st.integers(0, 10_000),
)
def test_no_damage_does_worse_than_a_bad_request(
    content_type: str, changes: list[tuple[int, int]], cut: int
) -> None:
    body = bytearray(VALID[content_type])
    for position, byte in changes:
        body[position % len(body)] = byte
    with contextlib.suppress(ServeError):
        input_fn(bytes(body[: cut % (len(body) + 1) or None]), content_type)


def test_a_type_that_is_not_read_is_told_with_those_that_are() -> None:
    with pytest.raises(UnsupportedMediaType) as caught:
        input_fn(b"x", "text/plain")
    assert all(content_type in caught.value.message for content_type in VALID)


def test_without_the_packages_their_types_are_not_offered() -> None:
    program = """
import importlib.util
find = importlib.util.find_spec
gone = {"PIL", "pyarrow", "scipy"}
importlib.util.find_spec = lambda name, *more: None if name in gone else find(name, *more)
from sagelocal_serve.codecs import defaults
print(*defaults._DECODERS)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [
        "application/json",
        "text/csv",
        "application/jsonlines",
        "application/x-npy",
        "text/libsvm",
        "application/x-recordio-protobuf",
    ]
