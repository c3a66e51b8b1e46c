"""What the engine may count on, wherever containers run: one class for both runtimes."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sagelocal.runtime.interface import Exit, Handle, RuntimeFault, UnknownImage

Eventually = Callable[[Callable[[], Any]], Any]

WAIT_FOR_TERM = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("term"), sys.exit(7)))
print("ready")
while True: time.sleep(60)
"""
IGNORE_TERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready")
while True: time.sleep(60)
"""
COUNT = """
import sys, time
for number in range(int(sys.argv[1])):
    print(number)
    time.sleep(float(sys.argv[2]))
"""
SERVE = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"pong")
port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
http.server.HTTPServer(("0.0.0.0", port), Handler).serve_forever()
"""
# A plane that starts a container, says its handle, and is killed when its standard input ends.
SHORT_LIVED_PLANE = """
import os, signal, sys
from pathlib import Path
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.interface import ContainerSpec
kind, containers, folder, environments, log, name, *arguments = sys.argv[1:]
images = ImageCatalog.load(Path(containers))
if kind == "docker":
    from sagelocal.runtime.docker import DockerRuntime
    runtime = DockerRuntime(Path(folder) / "docker", images)
else:
    from sagelocal.runtime.process import ProcessRuntime
    runtime = ProcessRuntime(Path(folder) / "processes", images, Path(environments))
spec = ContainerSpec(name, "probe", Path(log), (), arguments=tuple(arguments))
print(runtime.start(spec).id, flush=True)
sys.stdin.read()
os.kill(os.getpid(), signal.SIGKILL)
"""


def _start_by_a_plane_that_is_killed(
    place: Any, spec: Any, while_it_lives: Callable[[], object] = lambda: None
) -> Handle:
    plane = subprocess.Popen(
        [
            *(sys.executable, "-c", SHORT_LIVED_PLANE, place.kind),
            *(str(Path(__file__).parent / "containers"), str(place.folder)),
            *(str(place.environments), str(spec.log_path), spec.name, *spec.arguments),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert plane.stdin is not None
    assert plane.stdout is not None
    handle = Handle(place.kind, plane.stdout.readline().strip())
    place.keep(handle)
    while_it_lives()
    plane.stdin.close()
    plane.stdout.close()
    assert plane.wait() == -9
    return handle


class TestRuntime:
    """The behaviour of `Runtime`."""

    def test_its_name_is_in_its_handles(self, place: Any) -> None:
        handle = place.start("true")
        assert (place.kind, place.kind) == (place.runtime.name, handle.runtime)

    def test_the_labels_of_an_image_are_known_under_each_of_its_names(self, place: Any) -> None:
        ecr = "000000000000.dkr.ecr.us-east-1.amazonaws.com/probe-repository:1"
        for name in ("sagelocal/probe:test", "probe", ecr):
            assert place.runtime.labels(name)["org.example.probe"] == "yes"
        assert place.runtime.labels("nobody/knows:1") is None

    def test_arguments_are_the_command(self, place: Any) -> None:
        code = "import json, sys; print(json.dumps(sys.argv[1:]))"
        ended, lines = place.run("python", "-c", code, "a b", "", "ü", "$HOME")
        assert ended.code == 0
        assert json.loads(lines[0]) == ["a b", "", "ü", "$HOME"]

    def test_an_entry_point_comes_before_the_arguments(self, place: Any) -> None:
        _, lines = place.run("two", "three", entrypoint=("echo", "one"))
        assert lines == ["one two three"]

    def test_an_entry_point_needs_no_arguments(self, place: Any) -> None:
        _, lines = place.run(entrypoint=("sh", "-c", "echo alone"))
        assert lines == ["alone"]

    def test_console_scripts_of_the_image_are_on_path(self, place: Any) -> None:
        ended, lines = place.run("probe", "it")
        assert (ended.code, lines) == (0, ["probe it"])

    def test_the_callers_environment_goes_over_the_images(self, place: Any) -> None:
        code = "import json, os; print(json.dumps(dict(os.environ)))"
        _, lines = place.run(
            "python", "-c", code, environment={"OF_BOTH": "caller", "OF_CALLER": "a=b c\nd"}
        )
        found = json.loads(lines[0])
        assert (found["OF_THE_IMAGE"], found["OF_BOTH"]) == ("image", "caller")
        assert found["OF_CALLER"] == "a=b c\nd"

    def test_a_container_is_told_the_name_that_its_image_was_asked_for_by(self, place: Any) -> None:
        code = "import os; print(os.environ['SAGELOCAL_IMAGE'])"
        name = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/probe-repository:1.2-1"
        assert place.run("python", "-c", code, image=name)[1] == [name]
        said = {"SAGELOCAL_IMAGE": "another"}
        assert place.run("python", "-c", code, image=name, environment=said)[1] == ["another"]

    def test_nothing_of_the_planes_own_environment_leaks(self, place: Any) -> None:
        plane_only = {"HOME", "PYTEST_CURRENT_TEST", "AWS_CA_BUNDLE", "PIP_FIND_LINKS"} & {
            *os.environ
        }
        _, lines = place.run("env")
        found = dict(line.partition("=")[::2] for line in lines)
        assert not [key for key in plane_only if found.get(key) == os.environ[key] != "/root"]

    def test_mounts_are_read_and_written(self, place: Any) -> None:
        data = place.mount("/opt/ml/input/data/train", {"rows.csv": "1,2\n"}, read_only=True)
        model = place.mount("/opt/ml/model")
        ended, lines = place.run(
            *("sh", "-c", "cat /opt/ml/input/data/train/rows.csv; echo w > /opt/ml/model/weights"),
            mounts=(model, data),
        )
        assert (ended.code, lines) == (0, ["1,2"])
        assert (model.source / "weights").read_text() == "w\n"

    def test_a_read_only_mount_is_not_written(self, place: Any) -> None:
        data = place.mount("/opt/ml/input/data/train", {"rows.csv": "1"}, read_only=True)
        ended, lines = place.run(
            "sh", "-c", "echo x > /opt/ml/input/data/train/rows.csv", mounts=(data,)
        )
        assert ended.code != 0
        assert "Read-only file system" in lines[-1]
        assert (data.source / "rows.csv").read_text() == "1"

    def test_one_mount_may_lie_in_another(self, place: Any) -> None:
        whole = place.mount("/opt/ml", {"whole": ""})
        inner = place.mount("/opt/ml/input/data/train", {"inner": ""}, read_only=True)
        (whole.source / "input" / "data" / "train").mkdir(parents=True)
        _, lines = place.run(
            *("sh", "-c", "ls /opt/ml /opt/ml/input/data/train; touch /opt/ml/new"),
            mounts=(inner, whole),
        )
        assert {"whole", "inner"} <= set(lines)
        assert (whole.source / "new").exists()

    def test_a_file_may_be_mounted(self, place: Any) -> None:
        folder = place.mount("/opt/ml/input/config", {"hyperparameters.json": "{}"})
        file = type(folder)(
            folder.source / "hyperparameters.json", "/opt/ml/input/config/hp.json", True
        )
        _, lines = place.run("cat", "/opt/ml/input/config/hp.json", mounts=(file,))
        assert lines == ["{}"]

    def test_opt_ml_is_private_and_writable(self, place: Any) -> None:
        before = os.path.exists("/opt/ml")
        write = "mkdir -p /opt/ml/code && echo mine > /opt/ml/code/f && cat /opt/ml/code/f"
        for _ in range(2):
            ended, lines = place.run("sh", "-c", f"ls /opt/ml; {write}")
            assert (ended.code, lines) == (0, ["mine"])
        assert os.path.exists("/opt/ml") == before

    def test_a_missing_mount_source_is_said(self, place: Any) -> None:
        lost = place.mount("/opt/ml/model")
        lost.source.rmdir()
        with pytest.raises(RuntimeFault, match=str(lost.source)):
            place.start("true", mounts=(lost,))

    def test_the_host_name_is_known_and_resolves(self, place: Any) -> None:
        code = "import socket; print(socket.gethostname()); print(socket.gethostbyname('algo-1'))"
        ended, lines = place.run("python", "-c", code, hostname="algo-1")
        assert (ended.code, lines[0]) == (0, "algo-1")

    def test_log_lines_are_stamped_complete_and_in_order(self, place: Any) -> None:
        spec = place.spec("python", "-c", "for i in range(20000): print(f'line {i}')")
        before = int(time.time() * 1000)
        assert place.runtime.wait(place.start_spec(spec), 60) is not None
        assert place.lines(spec) == [f"line {number}" for number in range(20000)]
        stamps = [int(line.split(b"\t")[0]) for line in spec.log_path.read_bytes().splitlines()]
        assert before <= stamps[0] <= stamps[-1] <= time.time() * 1000
        assert stamps == sorted(stamps)

    def test_a_line_is_there_before_the_container_ends(
        self, place: Any, eventually: Eventually
    ) -> None:
        spec = place.spec("python", "-c", WAIT_FOR_TERM)
        handle = place.start_spec(spec)
        eventually(lambda: place.lines(spec) == ["ready"])
        assert place.runtime.wait(handle, 0) is None

    def test_long_lines_and_bytes_that_are_no_text_are_kept(self, place: Any) -> None:
        code = (
            "import sys; w = sys.stdout.buffer.write; w(b'x' * 200_000 + b'\\n'); "
            "w('ü'.encode() * 9000 + b'\\n'); w(b'\\xff\\n\\n'); w(b'crlf\\r\\nno end')"
        )
        _, lines = place.run("python", "-c", code)
        assert lines == ["x" * 200_000, "ü" * 9000, "\ufffd", "", "crlf", "no end"]

    def test_standard_error_is_in_the_log(self, place: Any) -> None:
        _, lines = place.run("python", "-c", "raise ValueError('broken')")
        assert lines[-1] == "ValueError: broken"

    def test_a_log_that_exists_is_continued(self, place: Any) -> None:
        spec = place.spec("echo", "second")
        spec.log_path.parent.mkdir(parents=True)
        spec.log_path.write_text("1\tfirst\n")
        place.runtime.wait(place.start_spec(spec), 60)
        assert place.lines(spec) == ["first", "second"]

    def test_a_log_that_cannot_be_written_holds_nothing_up(self, place: Any) -> None:
        code = "for i in range(5000): print('x' * 100)"
        spec = dataclasses.replace(place.spec("python", "-c", code), log_path=Path("/dev/full"))
        ended = place.runtime.wait(place.start_spec(spec), 60)
        assert ended is not None
        assert ended.code == 0

    @pytest.mark.parametrize("code", [0, 1, 3, 255])
    def test_the_exit_code_is_the_main_processs(self, place: Any, code: int) -> None:
        before = time.time()
        ended, _ = place.run("sh", "-c", f"exit {code}")
        assert (ended.code, ended.out_of_memory) == (code, False)
        assert before - 1 <= ended.ended_at <= time.time() + 1

    def test_death_by_a_signal_is_128_and_its_number(self, place: Any) -> None:
        # A fault of the processor: of other signals the kernel spares process 1 of a container.
        ended, _ = place.run("python", "-c", "import ctypes; ctypes.string_at(0)")
        assert ended.code == 139

    def test_wait_returns_none_while_it_runs(self, place: Any) -> None:
        handle = place.start("sleep", "60")
        before = time.monotonic()
        assert place.runtime.wait(handle, 0.2) is None
        assert 0.15 < time.monotonic() - before < 5

    def test_stop_sends_term_and_gives_grace(self, place: Any, eventually: Eventually) -> None:
        spec = place.spec("python", "-c", WAIT_FOR_TERM)
        handle = place.start_spec(spec)
        eventually(lambda: place.lines(spec))
        assert place.runtime.stop(handle, 30).code == 7
        assert place.lines(spec) == ["ready", "term"]

    def test_stop_kills_what_ignores_term(self, place: Any, eventually: Eventually) -> None:
        spec = place.spec("python", "-c", IGNORE_TERM)
        handle = place.start_spec(spec)
        eventually(lambda: place.lines(spec))
        before = time.monotonic()
        ended = place.runtime.stop(handle, 1)
        assert (ended.code, ended.out_of_memory) == (137, False)
        assert 0.9 < time.monotonic() - before < 10

    def test_stop_is_harmless_after_the_end(self, place: Any) -> None:
        handle = place.start("sh", "-c", "exit 4")
        first = place.runtime.wait(handle, 60)
        assert place.runtime.stop(handle, 30) == first == place.runtime.stop(handle, 0)

    def test_the_end_of_the_main_process_ends_the_others(self, place: Any) -> None:
        before = time.monotonic()
        ended, lines = place.run(
            "sh", "-c", "sleep 600 & (setsid sleep 600 &) ; (trap '' TERM; sleep 600) & echo done"
        )
        assert (ended.code, lines) == (0, ["done"])
        assert time.monotonic() - before < 20

    def test_memory_beyond_the_limit_is_killed_for(self, place: Any) -> None:
        code = (
            "import time\nkept = []\n"
            "while True: kept.append(bytearray(b'x') * 4_000_000); time.sleep(0.01)"
        )
        ended, _ = place.run("python", "-c", code, memory_bytes=96 * 1024 * 1024, cpus=1.5)
        assert (ended.code, ended.out_of_memory) == (137, True)

    def test_a_server_is_reached_at_its_address(self, place: Any, eventually: Eventually) -> None:
        handle = place.start("python", "-c", SERVE, port=8080)
        address = place.runtime.address(handle)
        assert address.startswith("http://127.0.0.1:")
        assert eventually(lambda: _get(f"{address}/ping")) == b"pong"
        place.runtime.stop(handle, 1)
        assert place.runtime.address(handle) is None

    def test_a_server_is_reached_at_the_port_that_was_asked_for(
        self, place: Any, eventually: Eventually
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        handle = place.start("python", "-c", SERVE, port=8080, host_port=port)
        assert place.runtime.address(handle) == f"http://127.0.0.1:{port}"
        assert eventually(lambda: _get(f"http://127.0.0.1:{port}/ping")) == b"pong"
        with pytest.raises(RuntimeFault, match=str(port)):
            place.start("python", "-c", SERVE, port=8080, host_port=port)

    def test_servers_have_addresses_of_their_own(self, place: Any) -> None:
        handles = [place.start("python", "-c", SERVE, port=8080) for _ in range(2)]
        assert len({place.runtime.address(handle) for handle in handles}) == 2

    def test_what_serves_nothing_has_no_address(self, place: Any) -> None:
        assert place.runtime.address(place.start("sleep", "60")) is None

    def test_isolation_leaves_a_loopback_only(self, place: Any) -> None:
        code = (
            "import socket; s = socket.create_server(('127.0.0.1', 0)); "
            "socket.create_connection(s.getsockname()); print('loopback')\n"
            "try: socket.create_connection(('192.0.2.1', 80), 3)\n"
            "except OSError as error: print(error.strerror)"
        )
        _, lines = place.run("python", "-c", code, network_isolation=True, hostname="algo-1")
        assert lines == ["loopback", "Network is unreachable"]

    def test_a_container_that_ended_meanwhile_is_known_to_the_next_plane(
        self, place: Any, eventually: Eventually
    ) -> None:
        spec = place.spec("python", "-c", COUNT + "sys.exit(5)", "300", "0.001")
        handle = _start_by_a_plane_that_is_killed(place, spec)
        ended = place.open().wait(handle, 60)
        assert ended is not None
        assert ended.code == 5
        assert place.lines(spec) == [str(number) for number in range(300)]

    def test_a_container_that_still_runs_is_taken_up_by_the_next_plane(
        self, place: Any, eventually: Eventually
    ) -> None:
        spec = place.spec("python", "-c", COUNT, "1500", "0.002")
        handle = _start_by_a_plane_that_is_killed(
            place, spec, lambda: eventually(lambda: len(place.lines(spec)) > 50)
        )
        following = place.open()
        assert following.wait(handle, 0) is None
        ended = following.wait(handle, 60)
        assert ended is not None
        assert ended.code == 0
        assert place.lines(spec) == [str(number) for number in range(1500)]

    def test_the_next_plane_stops_and_reaches_what_the_last_one_started(
        self, place: Any, eventually: Eventually
    ) -> None:
        handle = place.start("python", "-c", SERVE, port=8080)
        following = place.open()
        address = following.address(handle)
        assert address == place.runtime.address(handle)
        eventually(lambda: _get(f"{address}/ping"))
        assert following.stop(handle, 1).code in (137, 143)
        assert following.address(handle) is None

    def test_a_name_that_a_killed_plane_left_is_taken_over(self, place: Any) -> None:
        spec = place.spec("sleep", "60")
        first = _start_by_a_plane_that_is_killed(place, spec)
        following = place.open()
        again = following.start(place.spec("echo", "again", name=spec.name))
        place.keep(again)
        ended = following.wait(again, 60)
        assert ended is not None
        assert ended.code == 0
        assert place.lines(spec)[-1] == "again"
        assert first.runtime == again.runtime

    def test_remove_ends_it_and_may_be_repeated(self, place: Any) -> None:
        spec = place.spec("python", "-c", IGNORE_TERM)
        handle = place.start_spec(spec)
        for _ in range(3):
            place.runtime.remove(handle)
        assert place.runtime.address(handle) is None
        assert spec.log_path.exists()

    def test_what_is_gone_counts_as_killed(self, place: Any) -> None:
        handle = place.start("true")
        place.runtime.wait(handle, 60)
        place.runtime.remove(handle)
        ended = place.open().wait(handle, 60)
        assert isinstance(ended, Exit)
        assert ended.code == 137

    def test_many_run_at_once(self, place: Any) -> None:
        def run(number: int) -> tuple[int, list[str]]:
            ended, lines = place.run("sh", "-c", f"echo {number}; exit {number}")
            return ended.code, lines

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            found = list(pool.map(run, range(12)))
        assert found == [(number, [str(number)]) for number in range(12)]

    def test_a_command_that_is_not_there_is_said(self, place: Any) -> None:
        with pytest.raises(RuntimeFault, match="no-such-command"):
            place.start("no-such-command")

    def test_every_name_of_a_family_starts_it(self, place: Any) -> None:
        repository = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/probe-repository:1.0-cpu"
        for image in ("probe", repository):
            place.runtime.prepare(image)
            assert place.run("probe", "x", image=image)[1] == ["probe x"]

    def test_an_unknown_image_says_what_is_known_and_the_next_step(self, place: Any) -> None:
        image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/nobody:1"
        with pytest.raises(UnknownImage) as caught:
            place.runtime.prepare(image)
        assert image in str(caught.value)
        assert "probe" in str(caught.value)
        assert "docker" in str(caught.value)
        with pytest.raises(UnknownImage):
            place.start("true", image=image)


def _get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            body: bytes = answer.read()
            return body
    except (urllib.error.URLError, ConnectionError):
        return b""
