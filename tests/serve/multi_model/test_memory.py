"""Too little memory for all models: refused, or made room for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sagelocal_serve.multi_model.memory import MIB, default_limit, most_bytes, private_bytes

Wait = Callable[[Callable[[], bool]], None]
Check = Callable[[Any, int], Any]

# Says a line, holds so many bytes of its own once it is told to, says another, and waits.
HOLDS = """
import mmap, sys
print("ready", flush=True)
sys.stdin.readline()
held = mmap.mmap(-1, int(sys.argv[1]), flags=mmap.MAP_PRIVATE)
held.write(b"x" * len(held))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_model_beyond_the_limit_is_507_until_another_is_unloaded(
    start_many: Any, error: Check
) -> None:
    many = start_many(MODEL_SERVER_MODELS_MEMORY_IN_MB="150")
    many.make_and_load("first", mebibytes="80")
    many.make("second", mebibytes="81")
    body = error(many.load("second"), 507)
    assert body["type"] == "InsufficientMemoryException"
    assert "of 150 MiB" in body["message"]
    assert many.answer("first") == "first says hello"
    assert many.unload("first").status == 200
    assert many.load("second").status == 200


def test_a_model_too_large_for_any_server_is_507(start_many: Any, error: Check) -> None:
    many = start_many(MODEL_SERVER_MODELS_MEMORY_IN_MB="60", MODEL_SERVER_EVICT_MODELS="true")
    many.make_and_load("small")
    many.make("large", mebibytes="100")
    error(many.load("large"), 507)
    assert many.load("large").status == 507


def test_eviction_takes_the_model_not_called_for_longest(start_many: Any) -> None:
    many = start_many(MODEL_SERVER_MODELS_MEMORY_IN_MB="150", MODEL_SERVER_EVICT_MODELS="true")
    many.make_and_load("first", mebibytes="50")
    many.make_and_load("second", mebibytes="50")
    many.answer("first")
    many.make_and_load("third", mebibytes="50")
    assert many.names() == ["first", "third"]
    assert many.answer("first") == "first says hello"


def test_eviction_leaves_alone_who_is_on_a_call(
    start_many: Any, wait_until: Wait, error: Check
) -> None:
    many = start_many(MODEL_SERVER_MODELS_MEMORY_IN_MB="100", MODEL_SERVER_EVICT_MODELS="true")
    folder = many.make_and_load("busy", mebibytes="60")
    many.make("other", mebibytes="60")
    with ThreadPoolExecutor() as pool:
        running = pool.submit(many.answer, "busy", "hold")
        wait_until((folder / "entered").exists)
        error(many.load("other"), 507)
        (folder / "go").touch()
        assert running.result() == "busy says hold"
    assert many.load("other").status == 200
    assert many.names() == ["other"]


def test_the_default_limit_leaves_some_of_the_machine() -> None:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < default_limit() < machine


def test_private_bytes_grow_with_what_a_process_holds() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(32 * MIB)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdout.readline()
        before = private_bytes(process.pid)
        process.stdin.write("hold\n")
        process.stdin.flush()
        process.stdout.readline()
        held = private_bytes(process.pid)
        assert held - before > 31 * MIB
        assert most_bytes(process.pid) > held - 4 * MIB
        process.stdin.close()


def test_a_process_that_is_gone_holds_nothing() -> None:
    assert private_bytes(2**22 + 1) == most_bytes(2**22 + 1) == 0
