"""How soon a channel of 2 GB is there for a job, and how fast a pipe is, on the process runtime."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

from sagelocal.runtime import feeding
from sagelocal.runtime.feeder.unzip import unzipped

from tests.bench.figures import Figure, report, seconds, wait_until
from tests.bench.plane import Plane

ROUNDS = 5
BUCKET = "bench-channels"
CHANNEL_BYTES = 2 << 30
PART_BYTES = 1 << 26
RECORD_BYTES = 1 << 22
ROWS = "".join(f"{985 + 8 * number},{number * 0.37:.4f}\n" for number in range(9999)).encode()


def measure(plane: Plane, folder: Path) -> None:
    """Print the time from CreateTrainingJob to the end of Downloading, and megabytes a second."""
    _measure_start(plane, folder)
    _measure_pipes(folder)


def _measure_start(plane: Plane, folder: Path) -> None:
    s3, sagemaker = plane.client("s3"), plane.client("sagemaker")
    s3.create_bucket(Bucket=BUCKET)
    big = folder / "big"
    _write(big, CHANNEL_BYTES)
    with big.open("rb") as body:
        s3.put_object(Bucket=BUCKET, Key="data/big", Body=body)
    copied = [seconds(lambda: shutil.copyfile(big, folder / "copy")) for _ in range(2)]
    for path in (big, folder / "copy"):
        path.unlink()
    modes = ("File", "FastFile", "Pipe")
    started = {mode: [_start_seconds(sagemaker, mode) for _ in range(ROUNDS)] for mode in modes}
    s3.delete_object(Bucket=BUCKET, Key="data/big")
    report(
        "A channel of 2 GB: from CreateTrainingJob until it is laid out",
        [
            Figure("copying the 2 GB once", copied, "s"),
            *(Figure(f"{mode} mode", started[mode], "s", 1.0) for mode in modes),
        ],
    )


def _start_seconds(sagemaker: Any, mode: str) -> float:
    """Until the job says that its input is downloaded. The job is stopped then."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data"}
    begin = time.perf_counter()
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={
            "TrainingImage": "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1",
            "TrainingInputMode": mode,
        },
        RoleArn="arn:aws:iam::000000000000:role/SageLocalExecutionRole",
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/output"},
        ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )

    def statuses() -> list[str]:
        job = sagemaker.describe_training_job(TrainingJobName=name)
        return [transition["Status"] for transition in job["SecondaryStatusTransitions"]]

    wait_until(lambda: "Training" in statuses(), 120, step=0.001)
    taken = time.perf_counter() - begin
    wait_until(lambda: {"Failed", "Completed"} & set(statuses()) != set(), 120, step=0.01)
    return taken


def _measure_pipes(folder: Path) -> None:
    """The feeder itself, its reader throwing away what it reads; objects are in memory."""
    plain, zipped, record = folder / "plain", folder / "zipped", folder / "record"
    _write(plain, PART_BYTES)
    for path, size in ((zipped, PART_BYTES), (record, RECORD_BYTES)):
        path.write_bytes(gzip.compress(ROWS * (size // len(ROWS)), compresslevel=6))
    cases: tuple[tuple[str, Path, int, dict[str, bool]], ...] = (
        ("16 objects of 64 MB as they are", plain, 16, {}),
        ("the same wrapped in RecordIO", plain, 16, {"recordio": True}),
        ("16 objects of 64 MB of CSV, gzipped", zipped, 16, {"gzip": True}),
        (
            "256 of 4 MB, gzipped, wrapped in RecordIO",
            record,
            256,
            {"gzip": True, "recordio": True},
        ),
    )
    rates: dict[str, list[float]] = {title: [] for title, *_ in cases}
    alone = []
    for _ in range(ROUNDS):
        alone.append(PART_BYTES / seconds(lambda: _unzip(zipped)) / 1e6)
        for title, data, count, options in cases:
            job = folder / uuid.uuid4().hex
            rates[title].append(_megabytes_per_second(job, data, count, options))
    figures = [Figure(title, values, "MB/s") for title, values in rates.items()]
    one = Figure("for comparison: one thread that only unzips the 64 MB", alone, "MB/s")
    report("Pipe mode (bar: 500 MB/s at least)", [*figures, one])


def _unzip(path: Path) -> None:
    with path.open("rb") as file:
        for _ in unzipped(file, "s3://bench/data"):
            pass


def _megabytes_per_second(folder: Path, data: Path, count: int, options: dict[str, bool]) -> float:
    folder.mkdir()
    channel = {"name": "train", "seed": None, "index": 0, "count": 1}
    records = [[{"file": str(data), "source": "s3://bench/data"}]] * count
    channels = [{**channel, "gzip": False, "recordio": False, **options, "records": records}]
    (folder / feeding.PLAN).write_text(json.dumps({"folder": str(folder), "channels": channels}))
    feeding.start(folder)
    try:
        buffer = bytearray(1 << 20)
        size = 0
        begin = time.perf_counter()
        with (folder / "train_0").open("rb", buffering=0) as pipe:
            while read := pipe.readinto(buffer):
                size += read
        taken = time.perf_counter() - begin
        fault = feeding.failure(folder)
        if fault:
            raise RuntimeError(fault)
        return size / taken / 1e6
    finally:
        feeding.stop(folder)
        shutil.rmtree(folder)


def _write(path: Path, size: int) -> None:
    part = os.urandom(PART_BYTES)
    with path.open("wb") as file:
        for _ in range(size // PART_BYTES):
            file.write(part)
