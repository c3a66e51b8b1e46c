"""The variables under which clients run: complete, and with no way round them."""

from __future__ import annotations

import os

from sagelocal.cli.client_environment import client_environment, variables_to_remove

URL = "http://127.0.0.1:4570"


def test_real_credentials_are_replaced() -> None:
    variables = client_environment(URL, {"AWS_ACCESS_KEY_ID": "AKIAREAL"})

    assert variables["AWS_ACCESS_KEY_ID"] != "AKIAREAL"
    assert variables["AWS_ENDPOINT_URL"] == URL


def test_a_region_that_is_set_stays() -> None:
    variables = client_environment(URL, {"AWS_DEFAULT_REGION": "eu-west-1"})

    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "eu-west-1"


def test_the_hook_comes_first_and_only_once_on_the_python_path() -> None:
    once = client_environment(URL, {"PYTHONPATH": "/mine"})["PYTHONPATH"]
    twice = client_environment(URL, {"PYTHONPATH": once})["PYTHONPATH"]

    assert once == twice
    assert once.split(os.pathsep)[0].endswith("hook")
    assert once.split(os.pathsep)[1:] == ["/mine"]


def test_a_proxy_is_told_to_leave_the_plane_alone() -> None:
    assert "NO_PROXY" not in client_environment(URL, {})
    assert client_environment(URL, {"no_proxy": "corp"})["NO_PROXY"] == "corp,127.0.0.1,localhost"


def test_what_would_win_over_our_variables_is_removed() -> None:
    current = {
        "AWS_PROFILE": "work",
        "AWS_SESSION_TOKEN": "t",
        "AWS_ENDPOINT_URL_S3": "x",
        "HOME": "/",
    }

    assert set(variables_to_remove(current)) == {
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL_S3",
    }
