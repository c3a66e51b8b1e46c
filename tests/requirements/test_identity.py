"""When two requirements.txt ask for the same, and when nobody can tell."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from sagelocal_requirements.identity import Unforeseeable, environment, request


def key(folder: Path, text: str, **variables: str) -> str:
    path = folder / "requirements.txt"
    path.write_text(text)
    return request(path, variables)


@pytest.mark.parametrize(
    "other",
    [
        "# ours\npandas==2.1  # as in the paper\n\nnumpy\n",
        "pandas==2.1\r\nnumpy",
    ],
)
def test_comments_and_line_ends_are_no_difference(tmp_path: Path, other: str) -> None:
    assert key(tmp_path, "pandas==2.1\nnumpy\n") == key(tmp_path, other)


@pytest.mark.parametrize("other", ["pandas==2.2\n", "pandas==2.1\nnumpy\n", "--pre\npandas==2.1\n"])
def test_other_requirements_are_another_key(tmp_path: Path, other: str) -> None:
    assert key(tmp_path, "pandas==2.1\n") != key(tmp_path, other)


def test_passwords_are_no_part_of_it_and_addresses_are(tmp_path: Path) -> None:
    keys = [
        key(
            tmp_path, f"--index-url https://{user}{host}/simple\npandas\n", PIP_EXTRA_INDEX_URL=more
        )
        for user, host, more in [
            ("aws:token1@", "one.example", "https://a:b@two.example"),
            ("aws:token2@", "one.example", "https://two.example"),
            ("", "other.example", "https://two.example"),
            ("", "one.example", "https://three.example"),
        ]
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("-r more.txt", "more.txt"),
        ("-rmore.txt", "more.txt"),
        ("--requirement=more.txt", "more.txt"),
        ("-c limits.txt\npandas", "limits.txt"),
        ("./own-1.0-py3-none-any.whl", "own-1.0-py3-none-any.whl"),
        ("own-1.0-py3-none-any.whl[extra]", "own-1.0-py3-none-any.whl"),
        ("own @ file:./own-1.0.tar.gz", "own-1.0.tar.gz"),
        ("-f wheels\npandas", "wheels/own-1.0-py3-none-any.whl"),
    ],
)
def test_what_the_lines_lead_to_counts(tmp_path: Path, line: str, file: str) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / file).write_text("numpy==1.0\n")
    before = key(tmp_path, line)
    (tmp_path / file).write_text("numpy==1.1\n")

    assert before != key(tmp_path, line)


def test_variables_in_a_line_count_as_what_they_say(tmp_path: Path) -> None:
    line = "--index-url https://aws:${TOKEN}@one.example/simple\npandas==${PANDAS}\n"
    keys = [
        key(tmp_path, line, PANDAS=version, TOKEN=token)
        for version, token in [("2.1", "one"), ("2.1", "two"), ("2.2", "two")]
    ]
    assert keys[0] == keys[1] != keys[2]


def test_files_that_name_one_another_come_to_an_end(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("-r requirements.txt\n")

    assert key(tmp_path, "-r more.txt\n")


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        "--editable=./own",
        ".",
        "./own[extra]",
        "git+https://example.com/own.git@main",
        "own @ https://example.com/own.zip",
        "own[extra]@https://example.com/own.zip",
        "-r https://example.com/more.txt",
    ],
)
def test_what_may_change_is_said_with_the_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "own").mkdir()
    with pytest.raises(Unforeseeable) as refused:
        key(tmp_path, f"numpy\n{line}\n")
    assert f"`{line}`" in str(refused.value)


def test_what_is_said_of_a_line_leaves_its_password_out(tmp_path: Path) -> None:
    with pytest.raises(Unforeseeable) as refused:
        key(tmp_path, "own @ https://me:secret@example.com/${TOKEN}.zip\n", TOKEN="secret")

    assert str(refused.value).startswith("`own @ https://example.com/${TOKEN}.zip` is at")


@pytest.mark.parametrize(
    "line",
    [
        f"git+https://example.com/own.git@{'0123456789' * 4}",
        f"own @ https://example.com/own.zip#sha256={'ab' * 32}",
    ],
)
def test_what_is_at_an_address_for_good_can_be_kept(tmp_path: Path, line: str) -> None:
    assert key(tmp_path, line)


def test_an_image_with_another_c_library_has_an_environment_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(name: str) -> str:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    before = environment(without=tmp_path)
    monkeypatch.setattr(os, "confstr", refused)

    assert environment(without=tmp_path) != before


def test_the_environment_is_what_it_holds_without_the_shelf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "shelf/key/lib/python3.11/site-packages"
    (packages / "wanted-1.0.dist-info").mkdir(parents=True)
    before = environment(without=tmp_path / "shelf")
    monkeypatch.syspath_prepend(packages)

    assert environment(without=tmp_path / "shelf") == before
    assert environment(without=tmp_path / "elsewhere") != before
