"""What containers are told of the plane's address."""

from __future__ import annotations

from pathlib import Path

import pytest
from sagelocal.engine.service_access import service_access
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.process import ProcessRuntime
from sagelocal.settings import Settings


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:4571"),
        ("localhost", "http://127.0.0.1:4571"),
        ("0.0.0.0", "http://127.0.0.1:4571"),
        ("::1", "http://127.0.0.1:4571"),
        ("192.0.2.1", "http://192.0.2.1:4571"),
        ("2001:db8::1", "http://[2001:db8::1]:4571"),
        ("plane.example", "http://plane.example:4571"),
    ],
)
def test_a_container_is_given_an_address_that_it_can_reach(
    host: str, url: str, tmp_path: Path
) -> None:
    runtime = ProcessRuntime(tmp_path, ImageCatalog(tmp_path, ()), tmp_path)

    variables = service_access(Settings(tmp_path, host=host, port=4571), runtime)

    assert variables["AWS_ENDPOINT_URL"] == variables["S3_ENDPOINT_URL"] == url
    assert url.removeprefix("http://").removesuffix(":4571").strip("[]") in variables["NO_PROXY"]
    assert variables["NO_PROXY"] == variables["no_proxy"]
