"""An endpoint's life, through a real plane, real clients and real containers."""

from __future__ import annotations

from typing import Any


def test_a_deployed_model_answers_with_the_bytes_it_was_given(hosting: Any) -> None:
    hosting.deploy("echo")
    body = bytes(range(256)) * 10
    answer = hosting.runtime.invoke_endpoint(
        EndpointName="echo", Body=body, ContentType="application/x-recordio-protobuf"
    )
    assert answer["Body"].read() == body
    assert answer["ContentType"] == "application/x-recordio-protobuf"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
