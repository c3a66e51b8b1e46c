"""FailureReason, in the words of the service."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.domain.failure_reasons import ContainerEnd, client_error, container_failed

NEWLINE = "\n"


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (ContainerEnd("algo-1", 1, failure="bad\n"), "AlgorithmError: bad, exit code: 1"),
        (
            ContainerEnd("algo-1", 2, failure="Customer Error: eta"),
            "ClientError: eta, exit code: 2",
        ),
        (
            ContainerEnd("algo-1", 1, failure="AlgorithmError: bad"),
            "AlgorithmError: bad, exit code: 1",
        ),
        (
            ContainerEnd("algo-1", 1, last_lines=["Traceback", "", "  File", "ValueError: x"]),
            "AlgorithmError: Traceback\n  File\nValueError: x, exit code: 1",
        ),
        (
            ContainerEnd("algo-2", 137, out_of_memory=True, memory_bytes=8 * 1024**3),
            "ClientError: Please use an instance type with more memory, or reduce the size of job "
            "data processed on an instance. (algo-2 was killed for memory; it had 8.0 GiB), "
            "exit code: 137",
        ),
        (
            ContainerEnd("algo-1", 3, failure=" \n"),
            "AlgorithmError: the container of algo-1 said nothing, neither in its log nor in "
            "/opt/ml/output/failure, exit code: 3",
        ),
        (
            ContainerEnd("algo-1", 139),
            "AlgorithmError: the container was ended by SIGSEGV, exit code: 139",
        ),
    ],
)
def test_says_whose_fault_it_was(end: ContainerEnd, reason: str) -> None:
    assert container_failed(end) == reason


TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "/opt/ml/code/train.py", line 3, in <module>',
    "    fit()",
    "ValueError: the rows have 3 columns",
]


@pytest.mark.parametrize(
    "before",
    [
        [],
        ["epoch 1"] * 40,
        ["Traceback (most recent call last):", "  File", "KeyError: 1", "epoch 2"],
    ],
    ids=["alone", "after a long log", "after another that was survived"],
)
def test_the_last_traceback_says_it(before: list[str]) -> None:
    end = ContainerEnd("algo-1", 1, last_lines=[*before, *TRACEBACK])
    assert container_failed(end) == f"AlgorithmError: {NEWLINE.join(TRACEBACK)}, exit code: 1"


def test_what_a_program_prints_while_it_dies_does_not_hide_its_exception() -> None:
    noise = [f"closing worker {number}" for number in range(30)]
    reason = container_failed(ContainerEnd("algo-1", 1, last_lines=[*TRACEBACK, *noise]))
    assert reason.startswith(f"AlgorithmError: {NEWLINE.join(TRACEBACK)}")
    assert "closing worker 29" not in reason


def test_of_a_long_traceback_the_end_is_kept() -> None:
    frames = [f'  File "deep.py", line {number}, in call' for number in range(200)]
    lines = [TRACEBACK[0], *frames, "RecursionError: maximum recursion depth exceeded"]
    reason = container_failed(ContainerEnd("algo-1", 1, last_lines=lines))
    assert "line 199" in reason
    assert reason.endswith("RecursionError: maximum recursion depth exceeded, exit code: 1")


def test_a_traceback_that_was_cut_off_is_given_as_it_is() -> None:
    reason = container_failed(ContainerEnd("algo-1", 1, last_lines=TRACEBACK[:3]))
    assert reason == f"AlgorithmError: {NEWLINE.join(TRACEBACK[:3])}, exit code: 1"


def test_the_containers_own_words_come_before_its_log() -> None:
    end = ContainerEnd("algo-1", 1, failure="my reason", last_lines=TRACEBACK)
    assert container_failed(end) == "AlgorithmError: my reason, exit code: 1"


@given(st.text(), st.lists(st.text()), st.integers(1, 255), st.booleans())
def test_is_never_longer_than_the_api_allows_and_always_ends_with_the_code(
    failure: str, lines: list[str], code: int, out_of_memory: bool
) -> None:
    reason = container_failed(ContainerEnd("algo-1", code, out_of_memory, failure, lines))
    assert len(reason) <= 1024
    assert reason.endswith(f", exit code: {code}")


def test_memory_is_told_in_a_unit_that_fits() -> None:
    end = ContainerEnd("algo-1", 137, out_of_memory=True, memory_bytes=256 * 1024**2)
    assert "it had 256 MiB" in container_failed(end)


def test_the_last_line_of_a_long_log_is_kept() -> None:
    end = ContainerEnd("algo-1", 1, last_lines=["y" * 900, "z" * 900, "ValueError: the end"])
    assert (
        container_failed(end) == f"AlgorithmError: {'z' * 900}\nValueError: the end, exit code: 1"
    )


def test_a_long_client_error_is_cut() -> None:
    assert len(client_error("x" * 5000)) == 1024
