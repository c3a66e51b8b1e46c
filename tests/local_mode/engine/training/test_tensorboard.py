"""What TensorBoard shows goes to S3 while a job writes it, where the SDK looks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sagelocal.domain.names import S3Uri
from sagelocal.domain.training_spec import KeptFolder
from sagelocal.engine.opt_ml import OptMl

# Writes once more when it is told to end.
EVENTS = """
folder = base / "output/tensorboard"
def stop(*_):
    (folder / "train/events.1").write_text("loss 1, loss 0")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
(folder / "train").mkdir()
(folder / "train/events.1").write_text("loss 1")
print("written", flush=True)
while True: signal.pause()
"""


@pytest.mark.parametrize("key", ["board", "board/"])
def test_events_are_in_s3_while_the_job_trains_and_all_of_them_at_its_end(
    bench: Any, key: str
) -> None:
    board = {"S3OutputPath": f"s3://bucket/{key}"}
    arn = bench.add("job", bench.image(EVENTS), TensorBoardOutputConfig=board)
    bench.put("board/job/tensorboard-output/of-another", b"mine")
    bench.engine.submit(arn)
    events = "board/job/tensorboard-output/train/events.1"

    bench.wait_for_line(arn, "written")
    bench.wait(arn, lambda _: bench.get(events) == b"loss 1")
    bench.engine.stop(arn)
    job = bench.wait(arn)

    assert (job.status, job.failure_reason) == ("Stopped", None)
    assert bench.get(events) == b"loss 1, loss 0"
    assert bench.get("board/job/tensorboard-output/of-another") == b"mine"


def test_a_bucket_that_is_not_there_is_the_jobs_failure(bench: Any) -> None:
    image = bench.image('(base / "output/tensorboard/events").write_text("x")')
    job = bench.run("job", image, TensorBoardOutputConfig={"S3OutputPath": "s3://absent/board"})

    assert job.status == "Failed"
    assert (
        "TensorBoard upload failed: 'events' could not be stored below s3://absent/board/job/"
        in (job.failure_reason)
    )


def test_folders_that_lie_in_one_another_are_mounted_from_the_outside_in(tmp_path: Path) -> None:
    uri = S3Uri("bucket", "key")
    mounts = OptMl(tmp_path).mounts(KeptFolder(uri, "/work/saved"), KeptFolder(uri, "/work/"))

    assert [(m.source.name, m.target) for m in mounts[3:]] == [
        ("tensorboard", "/work"),
        ("checkpoints", "/work/saved"),
    ]
