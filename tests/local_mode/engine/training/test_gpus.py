"""Jobs for instance types with GPUs, on machines that have some, few or none."""

from __future__ import annotations

from typing import Any

import pytest
from sagelocal.engine.gpus import Gpus, gpus_of
from sagelocal.settings import Settings

RESOURCES = {"InstanceType": "ml.p3.8xlarge", "InstanceCount": 2, "VolumeSizeInGB": 1}


@pytest.mark.parametrize(
    ("instance_type", "here", "bound", "given", "said"),
    [
        ("ml.p3.2xlarge", 0, None, 0, "ml.p3.2xlarge has 1 GPU, and the script runtime"),
        (
            "ml.p3.8xlarge",
            1,
            None,
            1,
            "runtime of this machine can give 1 to",
        ),
        ("ml.p3.8xlarge", 8, None, 4, None),
        ("ml.p3.8xlarge", 8, 2, 2, None),
        ("ml.p3.8xlarge", 0, 0, 0, None),
        ("ml.m5.large", 8, None, 0, None),
        ("", 8, None, 0, None),
    ],
)
def test_a_container_gets_what_its_instance_type_has_and_the_machine_can_give(
    bench: Any, instance_type: str, here: int, bound: int | None, given: int, said: str | None
) -> None:
    bench.runtime.gpus = here

    found = gpus_of(instance_type, Settings(bench.data, max_gpus=bound), bench.runtime)

    assert found.given == given
    assert (found.note is None) == (said is None)
    assert said is None or said in str(found.note)


def test_without_gpus_a_job_runs_on_processors_and_the_first_line_says_so(
    bench: Any, caplog: pytest.LogCaptureFixture
) -> None:
    image = bench.image("print('training', flush=True)")

    job = bench.run("job", image, ResourceConfig=RESOURCES)

    assert job.status == "Completed"
    note, line = bench.lines(job, "algo-1")
    assert line == "training"
    assert note == (
        "ml.p3.8xlarge has 4 GPUs, and the script runtime of this machine can give none to a "
        "container; it runs on processors (SAGELOCAL_GPUS=required refuses this)"
    )
    assert bench.lines(job, "algo-2") == ["training"]
    said = [r.getMessage() for r in caplog.records if "GPU" in r.getMessage()]
    assert said == [f"training-job job: {note}"]


def test_required_gpus_that_are_not_there_fail_the_job_before_it_begins(open_bench: Any) -> None:
    bench = open_bench(gpus="required")
    image = bench.image("print('training', flush=True)")

    job = bench.run("job", image, ResourceConfig=RESOURCES)

    assert job.status == "Failed"
    assert job.failure_reason.startswith(
        "CapacityError: Unable to provision requested ML compute capacity. ml.p3.8xlarge has 4 GPUs"
    )
    assert "SAGELOCAL_GPUS=available" in job.failure_reason
    assert job.hosts == ()
    assert bench.run("other", image).status == "Completed"


def test_required_gpus_that_are_there_are_given(open_bench: Any) -> None:
    bench = open_bench(gpus="required")
    bench.runtime.gpus = 1

    job = bench.run("job", bench.image("print('training')"), ResourceConfig=RESOURCES)

    assert job.status == "Completed"


def test_one_gpu_is_no_plural() -> None:
    assert "has 1 GPU," in str(Gpus("ml.g5.xlarge", 1, 0, "docker").note)
