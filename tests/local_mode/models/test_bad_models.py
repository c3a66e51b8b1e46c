"""Models that are broken or hostile: one clear line, nothing outside the folder, nothing run."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import joblib
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sagelocal.models.errors import ModelError
from sagelocal.models.inspecting import inspect
from sagelocal.models.pickles import PickleProblem, describe_bytes
from sagelocal.models.source import Files, opened
from sagelocal.models.ubjson import UbjsonProblem
from sagelocal.models.ubjson import loads as ubjson

from tests.local_mode.models import saved
from tests.local_mode.models.conftest import GOLDEN, Command

# A busy machine may take long over anything.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Hostile:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "xgboost-model"])
def test_a_pickle_is_never_run(command: Command, tmp_path: Path, name: str) -> None:
    trap, folder = tmp_path / "trap", tmp_path / "model"
    folder.mkdir()
    (folder / name).write_bytes(pickle.dumps([Hostile(trap)]))
    done = command("inspect", folder)
    assert not trap.exists()
    assert done.exit_code == (1 if name == "xgboost-model" else 0), done.output


def test_what_a_pickle_would_run_is_named(tmp_path: Path) -> None:
    described = describe_bytes(pickle.dumps(Hostile(tmp_path / "trap")))
    assert described.globals == ("posix.mkdir",)
    assert not (tmp_path / "trap").exists()


def test_a_compressed_pickle_is_never_run(command: Command, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    joblib.dump(Hostile(trap), tmp_path / "model.joblib", compress=("gzip", 3))
    assert "posix" in command.inspect(tmp_path / "model.joblib")["facts"]["packages"]
    assert not trap.exists()


def test_values_that_lie_in_themselves_many_times_end() -> None:
    # As a key, and as what is called, it would take 2**60 steps to turn into text or a hash.
    nested: object = ()
    for _ in range(60):
        nested = (nested, nested)
    body = pickle.dumps(nested, 2)[2:-1]
    described = describe_bytes(b"\x80\x02}" + body + b"K\x01s.")
    assert len(described.value) == 1
    called = b"\x80\x02" + body + b")R."
    assert describe_bytes(called).globals == ()


@unhurried
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text()
        | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
        max_leaves=12,
    ),
    st.integers(0, 5),
)
def test_what_holds_no_objects_is_described_as_it_is(value: object, protocol: int) -> None:
    assert describe_bytes(pickle.dumps(value, protocol)).value == value


@unhurried
@given(st.data())
def test_a_damaged_pickle_is_described_or_refused(data: st.DataObject) -> None:
    whole = pickle.dumps({"a": [1.5, ("b", None)], "c": {1, 2}}, 4)
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] + data.draw(st.binary(max_size=5)) + whole[at + 1 :]
    with contextlib.suppress(PickleProblem):
        describe_bytes(damaged)


@unhurried
@given(st.binary(max_size=60))
def test_any_bytes_are_ubjson_or_refused(data: bytes) -> None:
    with contextlib.suppress(UbjsonProblem):
        ubjson(b"{" + data)


def archive(path: Path, *members: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return path


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no archive": (lambda p: p.write_bytes(b"no archive at all"), "no gzip-compressed tar archive"),
    "an empty file": (lambda p: p.write_bytes(b""), "the file is empty"),
    "gzip of something else": (
        lambda p: p.write_bytes(gzip.compress(b"text" * 300)),
        "cannot be unpacked",
    ),
    "an archive of nothing": (lambda p: archive(p), "holds no files"),
    "a way up": (lambda p: archive(p, ("../outside", b"x")), "points outside the archive"),
    "an absolute path": (lambda p: archive(p, ("/outside", b"x")), "points outside the archive"),
    "a symbolic link": (
        lambda p: archive(p, link("a", "/etc/passwd", tarfile.SYMTYPE)),
        "is a symbolic link to '/etc/passwd'",
    ),
    "a hard link out of it": (
        lambda p: archive(p, link("a", "../../etc/passwd", tarfile.LNKTYPE)),
        "points outside the archive",
    ),
    "a pipe": (lambda p: archive(p, link("a", "", tarfile.FIFOTYPE)), "neither a file nor"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_archive_is_refused_and_named(command: Command, tmp_path: Path, name: str) -> None:
    make, expected = BROKEN[name]
    path = tmp_path / "below" / "model.tar.gz"
    path.parent.mkdir()
    make(path)
    said = command.refusal("inspect", path)
    assert str(path) in said
    assert expected in said
    assert not (tmp_path / "outside").exists()


def test_a_truncated_archive_is_refused(command: Command, tmp_path: Path) -> None:
    path = archive(tmp_path / "model.tar.gz", ("model_algo-1", os.urandom(50_000)))
    path.write_bytes(path.read_bytes()[:30_000])
    assert "not a complete gzip-compressed tar archive" in command.refusal("inspect", path)


def test_what_is_not_there_is_said(command: Command, tmp_path: Path) -> None:
    said = command.refusal("inspect", tmp_path / "missing.tar.gz")
    assert "neither a file nor a folder of this name" in said


def test_a_folder_without_files_is_said(command: Command, tmp_path: Path) -> None:
    assert "holds no files" in command.refusal("inspect", tmp_path)


def test_links_in_a_folder_are_not_followed_out_of_it(tmp_path: Path) -> None:
    outside, folder = tmp_path / "secret.pkl", tmp_path / "model"
    outside.write_bytes(pickle.dumps(1))
    folder.mkdir()
    (folder / "model.pkl").symlink_to(outside)
    (folder / "data").write_bytes(b"x")
    with opened(folder) as files:
        assert [path.name for path in files.paths] == ["data"]


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_dot_", ".").replace("__", "-"), content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("model_algo-1", b"\x12\x01" + bytes(14) + b"\xff" * 8, "arrays do not fit"),
        (
            "model_algo-1",
            zipped(mx__mod__symbol_dot_json=b"{"),
            "model_algo-1/mx-mod-symbol.json, byte 1: not JSON",
        ),
        ("model_algo-1", b"IxF2\x04\x00", "no whole faiss index"),
        ("xgboost-model", b'{"learner": 3}', "no model of XGBoost"),
        (
            "xgboost-model",
            b'{"learner": {"learner_model_param": {"num_feature": Infinity}, "objective": '
            b'{"name": "a"}, "gradient_booster": {"name": "gbtree"}}}',
            "no whole model of XGBoost: OverflowError",
        ),
        ("xgboost-model", b"{L\x00\x00", "no whole model of XGBoost"),
        ("xgboost-model", b"anything", "no model of XGBoost that is known"),
        ("model.joblib", b"text", "is no pickle: it begins with b'text'"),
        ("model.pkl", b"\x80\x04]q", "no whole pickle"),
        ("net-symbol.json", b"[]", "not an MXNet symbol"),
        ("net.params", b"xx", "net.params, byte 0: truncated"),
        ("model.safetensors", b"\xff" * 20, "no whole safetensors file"),
        ("model.pt", b"\x80", "no whole file of torch.save"),
        ("model.onnx", b"\x00\x01", "no whole ONNX model"),
        ("saved_model.pb", b"\x0f", "no whole SavedModel"),
        ("vectors.txt", b"2 x", "does not begin with the numbers"),
        ("vectors.txt", b"2 2\na 1 2\n", "ends after 1 of 2 words"),
        ("model.bin", b"\xba\x16O/\x0c\x00", "no whole fastText model"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=r".") as caught, opened(tmp_path) as files:
        inspect(files)
    assert expected in str(caught.value)


def test_a_word_where_an_object_belongs_is_refused(tmp_path: Path) -> None:
    saved.knn(tmp_path)
    path = tmp_path / f"{saved.ARCHIVE}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "dimension_reduction": "sign"}))
    with pytest.raises(ModelError, match="'dimension_reduction' is no JSON object"):
        inspect(Files.of(tmp_path))


def test_a_network_of_claims_is_read_as_what_it_is(tmp_path: Path) -> None:
    deep = "(" * 20_000
    nodes = [
        {"op": "null", "name": "data", "inputs": [], "attrs": {"__shape__": deep}},
        {"op": "dot", "name": "lonely", "inputs": [[0, 0, 0]]},
        {"op": "Pooling", "name": "wide", "inputs": [[0, 0, 0]], "attrs": {"kernel": "1e999"}},
    ]
    symbol = {"nodes": nodes, "heads": [[2, 7, 0]], "node_row_ptr": [0, 1, 2, 1 << 60]}
    (tmp_path / "net-symbol.json").write_text(json.dumps(symbol))
    found = inspect(Files.of(tmp_path))
    assert found.network is not None
    assert [each.shape for each in found.network.operators] == [None, None]


SAVED = [
    saved.linear_learner,
    saved.pca,
    saved.knn,
    saved.xgboost_ubj,
    saved.scikit_learn_pickle,
    saved.mxnet,
    saved.hugging_face,
    saved.word_vectors,
]


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models of all kinds."""
    folder = tmp_path_factory.mktemp("whole")
    for saver in SAVED:
        (folder / saver.__name__).mkdir()
        saver(folder / saver.__name__)
    for name in ("state.pt", "old.pt"):
        (folder / name).mkdir()
        (folder / name / name).write_bytes((GOLDEN / name).read_bytes())
    return folder


@unhurried
@given(st.data())
def test_a_damaged_model_is_read_or_refused(whole: Path, data: st.DataObject) -> None:
    folder = data.draw(st.sampled_from(sorted(whole.iterdir())))
    path = data.draw(st.sampled_from(sorted(p for p in folder.rglob("*") if p.is_file())))
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    path.write_bytes(content[:at] + data.draw(st.binary(max_size=9)) + content[at + 1 :])
    try:
        with contextlib.suppress(ModelError):
            inspect(Files.of(folder))
    finally:
        path.write_bytes(content)
