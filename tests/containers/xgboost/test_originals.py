"""Which names mean a version that answers CSV on one line, or that pickles its models."""

from __future__ import annotations

import pytest
from sagelocal_xgboost.originals import answers_on_one_line, pickles_its_model

OLD = "811284229777.dkr.ecr.us-east-1.amazonaws.com"
NEW = "683313688378.dkr.ecr.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    "image",
    [
        f"{OLD}/xgboost:latest",
        f"{OLD}/xgboost:1",
        f"{NEW}/sagemaker-xgboost:0.90-1-cpu-py3",
        f"{NEW}/sagemaker-xgboost:0.90-2-cpu-py3",
        f"{NEW}/sagemaker-xgboost:1.0-1-cpu-py3",
        f"{NEW}/sagemaker-xgboost:1.2-1",
        f"{NEW}/sagemaker-xgboost:1.2-1@sha256:{'0' * 64}",
        "451049120500.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-xgboost:1.2-1",
    ],
)
def test_old_versions_answer_on_one_line(image: str) -> None:
    assert answers_on_one_line(image)


@pytest.mark.parametrize(
    "image",
    [
        *(
            f"{NEW}/sagemaker-xgboost:{tag}"
            for tag in ("1.2-2", "1.3-1", "1.5-1", "1.7-1", "3.0-5")
        ),
        *(f"{NEW}/sagemaker-xgboost:{tag}" for tag in ("latest", "1.2.1", "10.0-1")),
        f"{NEW}/sagemaker-xgboost",
        f"{NEW}/my-xgboost:1.0-1",
        *("sagelocal/xgboost:1", "xgboost", ""),
    ],
)
def test_later_versions_and_other_names_answer_line_by_line(image: str) -> None:
    assert not answers_on_one_line(image)


@pytest.mark.parametrize(
    ("image", "pickles"),
    [
        (f"{OLD}/xgboost:latest", True),
        (f"{NEW}/sagemaker-xgboost:0.90-2-cpu-py3", True),
        (f"{NEW}/sagemaker-xgboost:1.2-2", True),
        (f"{NEW}/sagemaker-xgboost:1.3-1", False),
        (f"{NEW}/sagemaker-xgboost:1.7-1", False),
        (f"{NEW}/sagemaker-xgboost:latest", False),
        ("sagelocal/xgboost:1", False),
        ("", False),
    ],
)
def test_models_of_versions_before_1_3_are_pickles(image: str, pickles: bool) -> None:
    assert pickles_its_model(image) == pickles
