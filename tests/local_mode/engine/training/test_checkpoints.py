"""Checkpoints in step with S3: restored before, stored during and after, on real files."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sagelocal.domain.names import S3Uri
from sagelocal.engine.checkpoints import CheckpointError, CheckpointFolder
from sagelocal.store.database import Database
from sagelocal.store.objects import ObjectStore


class Place:
    """A bucket, a folder, and what keeps them in step."""

    def __init__(self, root: Path, key: str = "ckpt") -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.database = Database(root / "plane.sqlite")
        self.objects = ObjectStore(self.database, root / "objects")
        if not self.objects.has_bucket("bucket"):
            self.objects.create_bucket("bucket", "us-east-1")
        self.uri = S3Uri("bucket", key)
        self.folder = root / "host" / "checkpoints"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.checkpoints = self.taken_up()

    def taken_up(self) -> CheckpointFolder:
        """As the next plane sees it."""
        return CheckpointFolder(
            self.objects, self.uri, self.folder, self.root / "host" / "checkpoints.json"
        )

    def put(self, key: str, content: bytes) -> None:
        with self.objects.incoming() as incoming:
            incoming.write(content)
            self.objects.put("bucket", key, incoming)

    def stored(self) -> dict[str, bytes]:
        return {
            info.key: self.objects.path(info).read_bytes() for info in self.objects.list("bucket")
        }

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.database.close()


@pytest.mark.parametrize("key", ["ckpt", "ckpt/"])
def test_what_is_below_the_prefix_is_restored_with_its_layout(tmp_path: Path, key: str) -> None:
    place = Place(tmp_path, key)
    place.put("ckpt/epoch-1", b"one")
    place.put("ckpt/deep/state", b"two")
    place.put("ckpt/empty/", b"")
    place.put("ckpt-other", b"no")
    before = place.stored()

    place.checkpoints.restore()
    assert place.files() == {"epoch-1": b"one", "deep/state": b"two"}
    place.checkpoints.sync(final=True)
    assert place.stored() == before
    place.database.close()


def test_a_whole_bucket_can_be_the_prefix(tmp_path: Path) -> None:
    place = Place(tmp_path, "")
    place.put("a", b"1")
    place.checkpoints.restore()
    (place.folder / "b").write_bytes(b"2")
    place.checkpoints.sync(final=True)
    assert place.stored() == {"a": b"1", "b": b"2"}
    place.database.close()


def test_a_file_is_taken_when_it_stays_as_it_is(place: Place) -> None:
    file = place.folder / "epoch-1"
    file.write_bytes(b"half")
    place.checkpoints.sync()
    file.write_bytes(b"half and half")
    place.checkpoints.sync()
    assert place.stored() == {}
    place.checkpoints.sync()
    assert place.stored() == {"ckpt/epoch-1": b"half and half"}


def test_a_file_is_taken_as_it_is_at_the_end(place: Place) -> None:
    (place.folder / "epoch-1").write_bytes(b"half")
    place.checkpoints.sync(final=True)
    assert place.stored() == {"ckpt/epoch-1": b"half"}


@contextlib.contextmanager
def without_roots_rights(folder: Path) -> Iterator[None]:
    """As a user who owns the folder and may not look into what is closed to everybody."""
    if os.geteuid() != 0:
        yield
        return
    shutil.chown(folder, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("mode", [0o000, 0o400])
def test_what_lies_in_a_folder_that_cannot_be_read_is_not_taken_for_deleted(mode: int) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        with without_roots_rights(root):
            place = Place(root / "place")
            deep = place.folder / "deep"
            deep.mkdir()
            for file in (deep / "kept", place.folder / "gone"):
                file.write_bytes(b"1")
            place.checkpoints.sync(final=True)
            (place.folder / "gone").unlink()
            deep.chmod(mode)
            place.checkpoints.sync(final=True)
            assert place.stored() == {"ckpt/deep/kept": b"1"}
            deep.chmod(0o700)
            (deep / "kept").unlink()
            place.checkpoints.sync(final=True)
            assert place.stored() == {}
            place.database.close()
    finally:
        shutil.rmtree(root)


def test_a_rename_into_place_takes_the_name_along(place: Place) -> None:
    (place.folder / "new").write_bytes(b"1")
    place.checkpoints.sync(final=True)
    (place.folder / "new").rename(place.folder / "latest")
    place.checkpoints.sync(final=True)
    assert place.stored() == {"ckpt/latest": b"1"}


def test_what_is_deleted_in_the_folder_is_deleted_in_s3_and_nothing_else(place: Place) -> None:
    place.put("ckpt/old", b"old")
    place.checkpoints.restore()
    place.put("ckpt/of-another-host", b"x")
    (place.folder / "old").unlink()
    place.checkpoints.sync()
    assert place.stored() == {"ckpt/of-another-host": b"x"}
    assert place.files() == {}


def test_the_next_plane_goes_on_with_what_the_last_one_stored(place: Place) -> None:
    for name in ("kept", "deleted"):
        (place.folder / name).write_bytes(name.encode())
    place.checkpoints.sync(final=True)
    kept = place.objects.get("bucket", "ckpt/kept")

    (place.folder / "deleted").unlink()
    (place.folder / "new").write_bytes(b"new")
    place.taken_up().sync(final=True)
    assert place.stored() == {"ckpt/kept": b"kept", "ckpt/new": b"new"}
    assert place.objects.get("bucket", "ckpt/kept").file == kept.file


def test_a_link_does_not_lead_out_of_the_folder(place: Place) -> None:
    secret = place.root / "secret"
    secret.write_text("secret")
    (place.folder / "link").symlink_to(secret)
    (place.folder / "links").symlink_to(place.root)
    os.mkfifo(place.folder / "fifo")
    place.checkpoints.sync(final=True)
    assert place.stored() == {}


def test_a_link_in_the_folders_place_is_not_followed(place: Place) -> None:
    (place.folder / "a").write_bytes(b"1")
    place.checkpoints.sync(final=True)
    elsewhere = place.root / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret").write_text("secret")
    shutil.rmtree(place.folder)
    place.folder.symlink_to(elsewhere)
    place.checkpoints.sync(final=True)
    assert place.stored() == {"ckpt/a": b"1"}


def test_a_folder_that_is_gone_deletes_nothing(place: Place) -> None:
    (place.folder / "a").write_bytes(b"1")
    place.checkpoints.sync(final=True)
    shutil.rmtree(place.folder)
    place.checkpoints.sync(final=True)
    assert place.stored() == {"ckpt/a": b"1"}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["ckpt/../../evil"], "cannot be the name of a file below the checkpoints' folder"),
        (["ckpt/a", "ckpt/a/b"], "cannot lie beside the other checkpoints"),
    ],
)
def test_keys_that_cannot_be_files_are_refused(place: Place, keys: list[str], message: str) -> None:
    for key in keys:
        place.put(key, b"x")
    with pytest.raises(CheckpointError, match=message):
        place.checkpoints.restore()


def test_a_bucket_that_is_not_there_is_named(place: Place) -> None:
    place.checkpoints.uri = S3Uri("nowhere", "ckpt")
    with pytest.raises(CheckpointError, match="aws s3 mb s3://nowhere"):
        place.checkpoints.restore()
    (place.folder / "a").write_bytes(b"1")
    with pytest.raises(CheckpointError, match="'a' could not be stored below s3://nowhere/ckpt"):
        place.checkpoints.sync(final=True)


@settings(max_examples=30, deadline=None)
@given(
    rounds=st.lists(
        st.dictionaries(
            st.sampled_from(["a", "b", "deep/a", "deep/er/b"]),
            st.none() | st.binary(max_size=20),
            max_size=4,
        ),
        max_size=6,
    )
)
def test_after_any_changes_s3_has_what_the_folder_has(
    rounds: list[dict[str, bytes | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = Place(tmp_path_factory.mktemp("any"))
    for changes in rounds:
        for name, content in changes.items():
            path = place.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)
        place.checkpoints.sync()
    place.taken_up().sync(final=True)
    assert {f"ckpt/{name}": content for name, content in place.files().items()} == place.stored()
    place.database.close()


# Through the engine

CHECKPOINTS = {"CheckpointConfig": {"S3Uri": "s3://bucket/ckpt"}}


def test_a_job_resumes_and_its_checkpoints_are_in_s3_while_it_trains(bench: Any) -> None:
    bench.put("ckpt/epoch", b"7")
    image = bench.image("""
        folder = base / "checkpoints"
        epoch = int((folder / "epoch").read_text())
        (folder / "epoch").write_text(str(epoch + 1))
        (folder / "old").write_text("")
        print("saved", flush=True)
        signal.sigwait({signal.SIGTERM}) if epoch == 7 else None
    """)
    arn = bench.add("job", image, **CHECKPOINTS)
    bench.engine.submit(arn)
    bench.wait(arn, lambda _: bench.get("ckpt/epoch") == b"8")
    assert bench.job(arn).secondary_status == "Training"
    bench.engine.stop(arn)
    assert bench.wait(arn).status == "Stopped"


@pytest.mark.parametrize(
    ("ending", "status"), [("", "Completed"), ("sys.exit(3)", "Failed")], ids=["done", "failed"]
)
def test_the_last_checkpoint_is_in_s3_before_the_job_has_ended(
    bench: Any, ending: str, status: str
) -> None:
    image = bench.image(f"(base / 'checkpoints/last').write_text('x'); print('end'); {ending}")
    job = bench.run("job", image, **CHECKPOINTS)
    assert job.status == status
    assert bench.get("ckpt/last") == b"x"


def test_a_stopped_job_stores_what_it_saved_on_sigterm(bench: Any) -> None:
    image = bench.image("""
        def stop(*_):
            (base / "checkpoints/last").write_text("in time")
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        print("ready", flush=True)
        signal.pause()
    """)
    arn = bench.add("job", image, **CHECKPOINTS)
    bench.engine.submit(arn)
    bench.wait_for_line(arn, "ready")
    bench.engine.stop(arn)
    assert bench.wait(arn).status == "Stopped"
    assert bench.get("ckpt/last") == b"in time"


def test_checkpoints_go_on_to_s3_when_the_plane_was_killed(
    open_bench: Any, killed_plane: Any
) -> None:
    bench = open_bench()
    bench.put("ckpt/restored", b"r")
    arn = bench.add(
        "job",
        bench.image("""
            folder = base / "checkpoints"
            (folder / "first").write_text("1")
            while not (folder / "go").exists(): time.sleep(0.01)
            (folder / "second").write_text("2")
            (folder / "restored").unlink()
            (folder / "go").unlink()
        """),
        **CHECKPOINTS,
    )
    with killed_plane():
        bench.wait(arn, lambda _: bench.get("ckpt/first") == b"1")
    (bench.data / "training-jobs/us-east-1/job/algo-1/checkpoints/go").touch()

    bench.engine.start()
    assert bench.wait(arn).status == "Completed"
    stored = [info.key for info in bench.objects.list("bucket", "ckpt/")]
    assert stored == ["ckpt/first", "ckpt/second"]


def test_a_missing_bucket_fails_the_job_before_it_trains(bench: Any) -> None:
    job = bench.run(
        "job",
        bench.image("print('never')"),
        CheckpointConfig={"S3Uri": "s3://nowhere/ckpt"},
    )
    assert job.failure_reason.startswith(
        "ClientError: The bucket of the CheckpointConfig's S3Uri s3://nowhere/ckpt does not exist"
    )
    assert job.hosts == ()


def test_a_bucket_that_went_away_fails_the_job_with_its_model_uploaded(bench: Any) -> None:
    bench.objects.create_bucket("ckpts", "us-east-1")
    image = bench.image("""
        (base / "model/w").write_text("w")
        print("ready", flush=True)
        while not (base / "input/go").exists(): time.sleep(0.01)
        (base / "checkpoints/a").write_text("a")
    """)
    arn = bench.add("job", image, CheckpointConfig={"S3Uri": "s3://ckpts/x"})
    bench.engine.submit(arn)
    bench.wait_for_line(arn, "ready")
    bench.objects.delete_bucket("ckpts")
    (bench.data / "training-jobs/us-east-1/job/algo-1/input/go").touch()
    job = bench.wait(arn)
    assert job.status == "Failed"
    assert job.failure_reason.startswith("ClientError: Checkpoint upload failed: 'a' could not be")
    assert bench.get("jobs/job/output/model.tar.gz") is not None


def test_every_host_restores_all_and_deletes_only_what_it_deletes(bench: Any) -> None:
    bench.put("ckpt/shared", b"s")
    bench.put("ckpt/of-one", b"1")
    image = bench.image("""
        host = os.environ["HOST"]
        folder = base / "checkpoints"
        print(sorted(path.name for path in folder.iterdir()), flush=True)
        (folder / host).write_text(host)
        if host == "algo-1":
            (folder / "of-one").unlink()
    """)
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    job = bench.run("job", image, ResourceConfig=resources, **CHECKPOINTS)
    assert (job.status, job.failure_reason) == ("Completed", None)
    for host in ("algo-1", "algo-2"):
        assert bench.lines(job, host) == ["['of-one', 'shared']"]
    stored = [info.key for info in bench.objects.list("bucket", "ckpt/")]
    assert stored == ["ckpt/algo-1", "ckpt/algo-2", "ckpt/shared"]


def test_checkpoints_may_lie_below_a_folder_that_is_mounted_anyway(bench: Any) -> None:
    image = bench.image("(base / 'output/data/ckpt/a').write_text('a')")
    job = bench.run(
        "job",
        image,
        CheckpointConfig={"S3Uri": "s3://bucket/ckpt", "LocalPath": "/opt/ml/output/data/ckpt/"},
    )
    assert job.status == "Completed"
    assert bench.get("ckpt/a") == b"a"
