"""What people are told of pip's messages, here as pip 24 to 26 and uv write them."""

from __future__ import annotations

import pytest
from sagelocal_requirements import explain

RETRY = (
    "WARNING: Retrying (Retry(total=4, connect=None, read=None, redirect=None, status=None)) after "
    "connection broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection "
    "object at 0x7f>: Failed to establish a new connection: [Errno -3] Temporary failure in name "
    "resolution')': /simple/nosuch/\n"
)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (
            "ERROR: Could not find a version that satisfies the requirement nosuch==9 "
            "(from versions: none)\nERROR: No matching distribution found for nosuch==9\n",
            "'nosuch==9' is not in the package index that was asked: correct its name",
        ),
        (
            "ERROR: Could not find a version that satisfies the requirement pandas==9.9 (from "
            "versions: 1.0, 1.1, 1.2, 1.3, 1.4, 1.5)\n",
            "'pandas==9.9' is not in the package index that was asked, which has the versions "
            "1.1, 1.2, 1.3, 1.4, 1.5 for this Python",
        ),
        (
            "ERROR: Could not find a version that satisfies the requirement helper>=2 (from wanted)"
            " (from versions: none)\n",
            "'helper>=2', which 'wanted' needs, is not in",
        ),
        (
            RETRY + "ERROR: Could not find a version that satisfies the requirement nosuch (from "
            "versions: none)\nERROR: No matching distribution found for nosuch\n",
            "'nosuch' cannot be fetched: the package index does not answer",
        ),
        (RETRY, "'nosuch' cannot be fetched"),
        (
            RETRY + "ERROR: Cannot install a==1 and b==2 because these package versions have "
            "conflicting dependencies.\n",
            "a==1 and b==2 cannot be installed together",
        ),
        (
            "ERROR: Cannot install -r requirements.txt (line 1) and b==2 because these package "
            "versions have conflicting dependencies.\nERROR: ResolutionImpossible: for help\n",
            "-r requirements.txt (line 1) and b==2 cannot be installed together",
        ),
        (
            "ERROR: Package 'future' requires a different Python: 3.11.2 not in '>=3.13'\n",
            "'future' needs Python >=3.13, and this image has 3.11.2",
        ),
        (
            "  ERROR: Failed building wheel for native\nERROR: Failed to build installable wheels "
            "for some pyproject.toml based projects (native)\n",
            "'native' could not be built from its source",
        ),
        ("error: Failed to build 'native' when getting requirements\n", "'native' could not be"),
        (
            "ERROR: Invalid requirement: 'pandas==': Expected end (from line 3 of "
            "requirements.txt)\n",
            "no requirement: 'pandas==': Expected end (from line 3 of requirements.txt)",
        ),
        (
            "ERROR: Could not open requirements file: [Errno 2] No such file or directory: "
            "'more.txt'\n",
            "names the file 'more.txt', which is not there",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on "
            "device\n",
            "No space is left on the disk",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you\n",
            "has other hashes than requirements.txt names",
        ),
        (
            "No solution found when resolving dependencies:\n  ╰─▶ Because nosuch was not found"
            " in the package registry and you require nosuch, we can conclude\n",
            "'nosuch' is not in the package index",
        ),
    ],
)
def test_the_cause_and_the_next_step(output: str, words: str) -> None:
    said = explain(output)

    assert said is not None
    assert words in said
    assert len(said) < 400


def test_what_is_not_known_is_left_to_pip() -> None:
    assert explain("ERROR: Something new went wrong\n") is None
