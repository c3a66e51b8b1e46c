"""What instance types have."""

from __future__ import annotations

import pytest
from botocore.session import Session
from sagelocal.domain.instances import GIB, instance


@pytest.mark.parametrize(
    ("name", "vcpus", "gib"),
    [
        ("ml.m5.large", 2, 8),
        ("ml.m5.xlarge", 4, 16),
        ("ml.m5.24xlarge", 96, 384),
        ("ml.m4.10xlarge", 40, 160),
        ("ml.c4.8xlarge", 36, 60),
        ("ml.c5.9xlarge", 36, 72),
        ("ml.r5.4xlarge", 16, 128),
        ("ml.t3.medium", 2, 4),
        ("ml.g4dn.xlarge", 4, 16),
        ("ml.g5.48xlarge", 192, 768),
        ("ml.p3.2xlarge", 8, 61),
        ("ml.trn1.32xlarge", 128, 512),
        ("ml.new9.metal", 4, 16),
    ],
)
def test_an_instance_type_has_processors_and_memory(name: str, vcpus: int, gib: float) -> None:
    assert (instance(name).vcpus, instance(name).memory_bytes) == (vcpus, gib * GIB)


@pytest.mark.parametrize(
    ("name", "gpus"),
    [
        ("ml.m5.xlarge", 0),
        ("ml.p3.2xlarge", 1),
        ("ml.p3.16xlarge", 8),
        ("ml.g4dn.12xlarge", 4),
        ("ml.g5.16xlarge", 1),
        ("ml.p4d.24xlarge", 8),
        ("ml.trn1.32xlarge", 0),
    ],
)
def test_an_instance_type_has_gpus(name: str, gpus: int) -> None:
    assert instance(name).gpus == gpus


def test_every_training_instance_type_has_something() -> None:
    model = Session().get_service_model("sagemaker")
    for name in model.shape_for("TrainingInstanceType").metadata["enum"]:
        assert instance(name).vcpus >= 2
        assert instance(name).memory_bytes >= 3 * GIB
