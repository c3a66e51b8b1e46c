"""Tags of any SageMaker resource."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def tags(*keys: str, value: str = "v") -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key in keys]


def test_tags_are_added_replaced_and_deleted(training: Any) -> None:
    arn = training.create("job", Tags=tags("b", "a"))
    client = training.sagemaker
    added = client.add_tags(ResourceArn=arn, Tags=[*tags("c"), *tags("a", value="new")])
    assert added["Tags"] == [*tags("a", value="new"), *tags("b", "c")]
    assert client.list_tags(ResourceArn=arn)["Tags"] == added["Tags"]
    client.delete_tags(ResourceArn=arn, TagKeys=["a", "nobody"])
    assert client.list_tags(ResourceArn=arn)["Tags"] == tags("b", "c")


def test_a_resource_has_fifty_tags_at_most(training: Any) -> None:
    arn = training.create("job", Tags=tags(*(f"k{n:02}" for n in range(50))))
    client = training.sagemaker
    client.add_tags(ResourceArn=arn, Tags=tags("k00", value="replaced"))
    with pytest.raises(ClientError, match=r"ValidationException.*at most 50 tags"):
        client.add_tags(ResourceArn=arn, Tags=tags("one-more"))
    pages = client.get_paginator("list_tags").paginate(ResourceArn=arn)
    assert len([tag for page in pages for tag in page["Tags"]]) == 50


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        ("training-job/nobody", "Requested resource not found."),
        (
            "model/nobody",
            'Could not find model "arn:aws:sagemaker:us-east-1:000000000000:model/nobody".',
        ),
        ("endpoint-config/nobody", "Could not find endpoint config"),
    ],
)
def test_what_is_not_there_has_no_tags(training: Any, resource: str, message: str) -> None:
    arn = f"arn:aws:sagemaker:us-east-1:000000000000:{resource}"
    for operation, more in (
        ("list_tags", {}),
        ("add_tags", {"Tags": tags("k")}),
        ("delete_tags", {"TagKeys": ["k"]}),
    ):
        with pytest.raises(ClientError) as error:
            getattr(training.sagemaker, operation)(ResourceArn=arn, **more)
        assert error.value.response["Error"]["Code"] == "ValidationException"
        assert message in error.value.response["Error"]["Message"]


def test_a_key_is_given_once(training: Any) -> None:
    arn = training.create("job")
    with pytest.raises(ClientError, match="given twice: k"):
        training.sagemaker.add_tags(ResourceArn=arn, Tags=tags("k", "k"))
