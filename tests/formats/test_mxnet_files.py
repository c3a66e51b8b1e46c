"""`.params` and symbol files: round trips, damage, and exchange with MXNet 1.9.1 both ways."""

from __future__ import annotations

import contextlib
import json
import pickle
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sagelocal_formats import FormatError, mxnet_ndarray, mxnet_symbol
from sagelocal_formats.mxnet_ndarray import CsrArray, RowSparseArray, SavedArray
from sagelocal_formats.mxnet_symbol import Entry, SymbolBuilder

DTYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool")

arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(max_dims=4, max_side=4))
)


def run_mxnet(python: Path, script: str, folder: Path) -> None:
    done = subprocess.run(
        [python, "-W", "ignore", "-c", script], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def head(*parts: tuple[str, tuple[float, ...]]) -> bytes:
    """A file with one array that begins with these fields."""
    body = b"".join(struct.pack("<" + layout, *values) for layout, values in parts)
    return struct.pack("<QQQ", 0x112, 0, 1) + body


@given(st.dictionaries(st.text(max_size=8), arrays, max_size=4))
def test_named_arrays_come_back(named: dict[str, NDArray[Any]]) -> None:
    back = mxnet_ndarray.loads(mxnet_ndarray.dumps(named)).by_name()
    assert list(back) == list(named)
    for name, array in named.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(array, back[name])


@given(st.lists(arrays, max_size=3))
def test_a_list_of_arrays_comes_back_without_names(listed: list[NDArray[Any]]) -> None:
    back = mxnet_ndarray.loads(mxnet_ndarray.dumps(listed))
    assert back.names == ()
    for index, array in enumerate(listed):
        np.testing.assert_array_equal(array, back.dense(index))


@pytest.mark.parametrize("magic", [mxnet_ndarray.V1_MAGIC, 2])
def test_the_layouts_before_storage_types_are_read(magic: int) -> None:
    shape = ("i2q", (2, 1, 3)) if magic == mxnet_ndarray.V1_MAGIC else ("2I", (1, 3))
    data = head(("I", (magic,)), shape, ("3i", (1, 0, 4)), ("3i", (7, 8, 9)), ("Q", (0,)))
    np.testing.assert_array_equal([[7, 8, 9]], mxnet_ndarray.loads(data).dense(0))


def test_numpy_shapes_know_scalars_and_unknown_shapes() -> None:
    scalar = head(
        ("Iii", (mxnet_ndarray.V3_MAGIC, 0, 0)),
        ("3i", (1, 0, 1)),
        ("d", (2.5,)),
        ("Q", (0,)),
    )
    assert mxnet_ndarray.loads(scalar).dense(0) == 2.5
    unknown = head(("Iii", (mxnet_ndarray.V3_MAGIC, 0, -1)), ("Q", (0,)))
    assert mxnet_ndarray.loads(unknown).arrays == (None,)


def test_an_array_that_was_never_allocated_is_none() -> None:
    data = head(("Iii", (mxnet_ndarray.V2_MAGIC, 0, 0)), ("Q", (0,)))
    assert mxnet_ndarray.loads(data).arrays == (None,)


@pytest.mark.parametrize(
    "array", [np.array(1.0), np.zeros((0, 3)), np.array(["a"]), np.zeros(1, "c8")]
)
def test_what_mxnet_cannot_hold_is_refused(array: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"cannot be saved|no array type"):
        mxnet_ndarray.dumps([array])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "model.params, byte 0: truncated: 16 bytes wanted, 0 left"),
        (b"PK\x03\x04" + bytes(20), "byte 0: not an MXNet NDArray file: it begins with 0x4034b50"),
        (struct.pack("<QQQ", 0x112, 0, 1 << 60), "byte 16: 1152921504606846976 arrays do not fit"),
        (head(("I", (77,))), "byte 24: not an array: it begins with 0x0000004d"),
        (head(("Ii", (mxnet_ndarray.V2_MAGIC, 9))), "byte 28: unknown storage type 9"),
        (head(("Iii", (mxnet_ndarray.V2_MAGIC, 0, 99))), "byte 32: a shape of 99 dimensions"),
        (
            head(("Iiiq", (mxnet_ndarray.V2_MAGIC, 0, 1, -4))),
            "byte 32: a shape with a negative length",
        ),
        (
            head(("Iiiq3i", (mxnet_ndarray.V2_MAGIC, 0, 1, 1, 1, 0, 42))),
            "byte 52: unknown array type 42",
        ),
        (
            head(("Iiiq3i", (mxnet_ndarray.V2_MAGIC, 0, 1, 1 << 50, 1, 0, 0))),
            "truncated: 4503599627370496 bytes wanted, 0 left",
        ),
        (
            head(("Iii2q3i", (mxnet_ndarray.V2_MAGIC, 0, 2, 0, 1 << 62, 1, 0, 0))),
            r"the shape \(0, 4611686018427387904\): ",
        ),
        (
            head(
                ("Iiiqiq3iiiqfq", (mxnet_ndarray.V2_MAGIC, 1, *(1, 1) * 2, 1, 0, 0, 1, 1, 1, 1, 0))
            ),
            "byte 84: row or column numbers that are no list of whole numbers",
        ),
        (
            head(("Iiiqi3iiiqfq", (mxnet_ndarray.V3_MAGIC, 1, 1, 1, 0, 1, 0, 0, 6, 1, 1, 1, 0))),
            "byte 76: a sparse array without dimensions",
        ),
        (mxnet_ndarray.dumps([np.ones(1)]) + b"x", "1 bytes follow the last name"),
    ],
)
def test_a_broken_params_file_names_file_and_byte(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        mxnet_ndarray.loads(data, "model.params")


@given(st.data())
def test_a_damaged_params_file_is_read_or_refused(data: st.DataObject) -> None:
    whole = mxnet_ndarray.dumps({"arg:w": np.ones((2, 3), np.float32), "aux:m": np.ones(2)})
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] + data.draw(st.binary(max_size=9)) + whole[at + 1 :]
    with contextlib.suppress(FormatError):
        mxnet_ndarray.loads(damaged)


def test_a_format_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(FormatError("bad", source="f", offset=3)))
    assert (str(error), error.source, error.offset) == ("f, byte 3: bad", "f", 3)


MXNET_SAVES = """
import mxnet as mx, numpy as np
w = {"arg:w": mx.nd.array([[1.5, -2.0]]), "aux:n": mx.nd.array([3], dtype="int64"),
     "arg:h": mx.nd.ones((2, 1, 2), dtype="float16")}
mx.nd.save("named.params", w)
mx.nd.save("list.params", [mx.nd.arange(4), mx.nd.ones((1,), dtype="uint8")])
dense = mx.nd.array([[0, 5, 0], [0, 0, 0], [7, 0, 8]])
mx.nd.save("written.params", {
    "csr": mx.nd.sparse.csr_matrix(([1.5, 2, 3], [0, 2, 1], [0, 2, 2, 3]), shape=(3, 4)),
    "rows": mx.nd.sparse.row_sparse_array((np.ones((2, 3, 2), "float64"), [1, 4]), shape=(6, 3, 2)),
    "no values": mx.nd.sparse.zeros("csr", (2, 5)),
    "no rows": mx.nd.sparse.zeros("row_sparse", (2, 5))})
mx.nd.save("sparse.params", {"csr": dense.tostype("csr"), "rows": dense.tostype("row_sparse")})
mx.util.set_np(shape=True, array=False)
mx.nd.save("v3.params", {"x": mx.nd.array([1.0, 2.0])})
"""


def test_what_mxnet_saves_is_read(mxnet_python: Path, tmp_path: Path) -> None:
    run_mxnet(mxnet_python, MXNET_SAVES, tmp_path)
    named = mxnet_ndarray.load(tmp_path / "named.params")
    assert named.by_name()["arg:w"].tolist() == [[1.5, -2.0]]
    assert named.by_name()["aux:n"].dtype == np.int64
    assert mxnet_ndarray.dumps(named.by_name()) == (tmp_path / "named.params").read_bytes()
    listed = mxnet_ndarray.load(tmp_path / "list.params")
    assert listed.dense(0).tolist() == [0, 1, 2, 3]
    assert (
        mxnet_ndarray.dumps([listed.dense(0), listed.dense(1)])
        == (tmp_path / "list.params").read_bytes()
    )
    sparse = mxnet_ndarray.load(tmp_path / "sparse.params")
    assert {type(array) for array in sparse.arrays} == {CsrArray, RowSparseArray}
    for array in sparse.by_name().values():
        assert array.tolist() == [[0, 5, 0], [0, 0, 0], [7, 0, 8]]
    written = mxnet_ndarray.load(tmp_path / "written.params")
    assert written.by_name()["csr"].tolist() == [[1.5, 0, 2, 0], [0, 0, 0, 0], [0, 3, 0, 0]]
    kept = {n: a for n, a in zip(written.names, written.arrays, strict=True) if a is not None}
    assert mxnet_ndarray.dumps(kept) == (tmp_path / "written.params").read_bytes()
    assert mxnet_ndarray.load(tmp_path / "v3.params").by_name()["x"].tolist() == [1.0, 2.0]


MXNET_LOADS = """
import mxnet as mx
named = mx.nd.load("ours.params")
assert named["arg:w"].asnumpy().tolist() == [[1.5, -2.0]], named
assert str(named["aux:n"].dtype) == "<class 'numpy.int64'>", named["aux:n"].dtype
assert [a.shape for a in mx.nd.load("ours.list")] == [(2, 2), (3,)]
sparse = mx.nd.load("sparse.params")
assert [sparse[name].stype for name in ("c", "r", "none")] == ["csr", "row_sparse", "csr"], sparse
assert sparse["c"].asnumpy().tolist() == [[0, 2, 0], [3, 0, 4]]
assert sparse["r"].asnumpy().tolist() == [[0, 0], [5, 6], [0, 0], [7, 8]]
assert sparse["none"].asnumpy().tolist() == [[0, 0]]
# What it computes with them, too.
assert mx.nd.sparse.dot(sparse["c"], mx.nd.ones((3, 1))).asnumpy().tolist() == [[2], [7]]
assert mx.nd.sparse.retain(sparse["r"], mx.nd.array([3])).asnumpy()[3].tolist() == [7, 8]
"""


def test_what_we_save_is_read_by_mxnet(mxnet_python: Path, tmp_path: Path) -> None:
    mxnet_ndarray.save(
        tmp_path / "ours.params",
        {"arg:w": np.array([[1.5, -2.0]], np.float32), "aux:n": np.array([3], np.int64)},
    )
    mxnet_ndarray.save(tmp_path / "ours.list", [np.ones((2, 2)), np.arange(3, dtype=np.float16)])
    mxnet_ndarray.save(
        tmp_path / "sparse.params",
        {
            "c": CsrArray(
                (2, 3), np.array([2, 3, 4], "f4"), np.array([0, 1, 3]), np.array([1, 0, 2])
            ),
            "r": RowSparseArray((4, 2), np.array([[5, 6], [7, 8]], "f4"), np.array([1, 3])),
            "none": CsrArray((1, 2), np.array([], "f4"), np.array([0, 0]), np.array([], np.int64)),
        },
    )
    run_mxnet(mxnet_python, MXNET_LOADS, tmp_path)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (RowSparseArray((4, 1), np.ones((2, 1)), np.array([3, 1])), "do not ascend"),
        (RowSparseArray((4, 1), np.ones((2, 1)), np.array([1, 4])), "row numbers outside"),
        (RowSparseArray((4, 1), np.ones(2), np.array([1, 3])), r"shape \(2,\) instead of \(2, 1\)"),
        (CsrArray((1, 3), np.ones(2), np.array([0, 2]), np.array([1, 1])), "do not ascend"),
        (CsrArray((2, 3), np.ones(2), np.array([0, 1]), np.array([1, 2])), "2 row pointers"),
        (CsrArray((1, 3), np.ones(3), np.array([0, 2]), np.array([1, 2])), r"shape \(3,\)"),
    ],
)
def test_a_sparse_array_that_mxnet_would_misread_is_refused(array: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mxnet_ndarray.dumps([array])


@given(hnp.arrays("float32", hnp.array_shapes(min_dims=2, max_dims=2, max_side=5)))
def test_sparse_arrays_come_back(dense: NDArray[Any]) -> None:
    rows, columns = np.nonzero(dense)
    pointers = np.searchsorted(rows, np.arange(len(dense) + 1))
    stored = np.unique(rows)
    arrays: list[SavedArray] = [
        CsrArray(dense.shape, dense[rows, columns], pointers, columns),
        RowSparseArray(dense.shape, dense[stored], stored),
    ]
    back = mxnet_ndarray.loads(mxnet_ndarray.dumps(arrays))
    assert [type(array) for array in back.arrays] == [CsrArray, RowSparseArray]
    for index in range(2):
        np.testing.assert_array_equal(dense, back.dense(index))


MXNET_SYMBOLS = r"""
import mxnet as mx
fc0 = mx.sym.FullyConnected(mx.sym.var("data"), mx.sym.var("fc0_weight"), mx.sym.var("fc0_bias"),
                            num_hidden=3, name="fc0")
mx.sym.LinearRegressionOutput(fc0, name="out").save("regressor.json")
mx.sym.identity(fc0, name="out").save("identity.json")
mx.sym.softmax(fc0, name="out").save("softmax.json")
deep = mx.sym.var("data")
for i in range(6):
    deep = mx.sym.FullyConnected(deep, num_hidden=4, flatten=False, no_bias=i % 2 == 0)
deep = mx.sym.Concat(*[mx.sym.var('odd "%d" \\' % i) for i in range(12)], mx.sym.BatchNorm(deep))
mx.sym.Group([deep, fc0]).save("deep.json")

def step(data, states):
    inner, last = mx.sym.contrib.foreach(
        lambda x, s: (x * mx.sym.var("w") + s, x), data, mx.sym.var("begin"))
    return inner + states[0], [inner[0]]
out, states = mx.sym.contrib.foreach(step, mx.sym.var("data"), [mx.sym.var("init")])
mx.sym.Group([out, *states]).save("foreach.json")
outs, states = mx.sym.contrib.while_loop(
    cond=lambda i, s: i <= 5, func=lambda i, s: ([i + s], [i + 1, s + i]),
    loop_vars=(mx.sym.var("i"), mx.sym.var("s")), max_iterations=10)
mx.sym.Group([*outs, *states]).save("while.json")
a, b = mx.sym.var("a"), mx.sym.var("b")
mx.sym.contrib.cond(a * b < 5, lambda: (a + 5) * b, lambda: a - b).save("cond.json")
"""


def test_symbols_are_written_byte_for_byte_as_mxnet_writes_them(
    mxnet_python: Path, tmp_path: Path
) -> None:
    run_mxnet(mxnet_python, MXNET_SYMBOLS, tmp_path)
    for path in sorted(tmp_path.glob("*.json")):
        text = path.read_text()
        assert mxnet_symbol.loads(text, path.name).dumps() == text, path.name
    built = {
        "regressor": ("LinearRegressionOutput", True),
        "identity": ("_copy", False),
        "softmax": ("softmax", False),
    }
    for name, (op, has_label) in built.items():
        assert linear_graph(op, has_label) == (tmp_path / f"{name}.json").read_text()


MXNET_RUNS = """
import mxnet as mx
symbol = mx.sym.load("running-symbol.json")
bound = symbol.bind(mx.cpu(), {"data": mx.nd.array([1, 2, 3]), "init": mx.nd.array([10])})
sums, last = bound.forward()
assert sums.asnumpy().ravel().tolist() == [11, 13, 16], sums
assert last.asnumpy().tolist() == [16], last
"""


def test_a_loop_that_we_write_runs_in_mxnet(mxnet_python: Path, tmp_path: Path) -> None:
    body, graph = SymbolBuilder(), SymbolBuilder()
    both = [body.variable("one"), body.variable("so_far")]
    total = body.operator("broadcast_add", "sum", both)
    data = [graph.variable("data"), graph.variable("init")]
    loop = graph.operator(
        "_foreach",
        "running",
        data,
        {
            **{"in_data_locs": "[0]", "in_state_locs": "[1]", "remain_locs": "[]"},
            **{"num_args": "3", "num_out_data": "1", "num_outputs": "2"},
        },
        outputs=2,
        subgraphs=[body.build([total, total])],
    )
    symbol = graph.build([loop, Entry(loop.node, 1)])
    (tmp_path / "running-symbol.json").write_text(symbol.dumps())

    assert symbol.variables() == ("data", "init")
    assert mxnet_symbol.loads(symbol.dumps()).node("running").subgraphs[0].nodes[2].op == (
        "broadcast_add"
    )
    run_mxnet(mxnet_python, MXNET_RUNS, tmp_path)


def linear_graph(op: str, has_label: bool) -> str:
    builder = SymbolBuilder()
    inputs = [builder.variable(name) for name in ("data", "fc0_weight", "fc0_bias")]
    heads = [builder.operator("FullyConnected", "fc0", inputs, {"num_hidden": "3"})]
    if has_label:
        heads.append(builder.variable("out_label"))
    return builder.build([builder.operator(op, "out", heads)]).dumps()


def test_files_of_early_releases_are_read() -> None:
    old = {
        "nodes": [
            {"op": "null", "param": {}, "name": "data", "inputs": [], "backward_source_id": -1},
            {
                "op": "FullyConnected",
                "param": {"num_hidden": "1"},
                "name": "fc",
                "inputs": [[0, 0]],
            },
        ],
        "arg_nodes": [0],
        "heads": [[1, 0]],
    }
    symbol = mxnet_symbol.loads(json.dumps(old))
    assert symbol.node("fc").attrs == {"num_hidden": "1"}
    assert symbol.variables() == ("data",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "model-symbol.json, byte 1: not JSON"),
        ("[]", "byte 0: not an MXNet symbol"),
        ('{"nodes": []}', "byte 0: not an MXNet symbol: KeyError 'heads'"),
        ('{"nodes": [], "heads": []}', "byte 0: not an MXNet symbol: it has no outputs"),
        (
            '{"nodes": [{"op": "f", "name": "x", "inputs": [[0, 0, 0]]}], "heads": [[0, 0, 0]]}',
            "refers to node 0, which does not stand before it",
        ),
        (
            '{"nodes": [{"op": "_foreach", "name": "x", "inputs": [], "subgraphs": [{}]}], '
            '"heads": [[0, 0, 0]]}',
            "byte 0: not an MXNet symbol: KeyError 'nodes'",
        ),
        ('{"nodes": ' + "[" * 100_000, "byte 0: nested too deeply"),
    ],
)
def test_a_broken_symbol_names_file_and_place(text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        mxnet_symbol.loads(text, "model-symbol.json")
