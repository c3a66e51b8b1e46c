"""The start-up hook in real clients' Python: what it changes, and that it changes nothing else."""

from __future__ import annotations

import json
import os
import subprocess
from importlib import resources
from pathlib import Path

import pytest

pytestmark = pytest.mark.clients

HOOK = str(resources.files("sagelocal") / "hook")
PLANE = "http://127.0.0.1:9"


def run(python: Path, code: str, *path: str | Path, **environment: str) -> str:
    """What a client's Python prints for `code`, with the hook and `path` on its PYTHONPATH."""
    done = subprocess.run(
        [python, "-W", "ignore", "-c", code],
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "PYTHONPATH": os.pathsep.join([HOOK, *map(str, path)]),
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
            **environment,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip().splitlines()[-1]


STS = """
import boto3
address = "https://sts.us-east-1.amazonaws.com"
print(boto3.client("sts", endpoint_url=address).meta.endpoint_url)
"""


def test_a_built_in_aws_address_goes_where_the_endpoint_variable_says(clients_python: Path) -> None:
    assert run(clients_python, STS, AWS_ENDPOINT_URL=PLANE) == PLANE


def test_without_the_endpoint_variable_a_built_in_address_stays(clients_python: Path) -> None:
    assert run(clients_python, STS) == "https://sts.us-east-1.amazonaws.com"


def test_an_address_of_the_users_own_stays(clients_python: Path) -> None:
    code = STS.replace("https://sts.us-east-1.amazonaws.com", "http://127.0.0.1:5000")

    assert run(clients_python, code, AWS_ENDPOINT_URL=PLANE) == "http://127.0.0.1:5000"


WAITER = """
import json, botocore.session, botocore.waiter
seen = []
client = botocore.session.Session().create_client("sagemaker")
waiter = client.get_waiter("endpoint_in_service")
waiter._operation_method = lambda **k: {"EndpointStatus": "Creating"} if len(seen) < 3 \
    else {"EndpointStatus": "InService"}
class Clock:
    def sleep(self, seconds): seen.append(seconds)
botocore.waiter.time = Clock()
waiter.wait(EndpointName="e")
print(json.dumps(seen))
"""


def test_a_waiter_looks_as_often_as_the_variable_says(clients_python: Path) -> None:
    assert json.loads(run(clients_python, WAITER)) == [0.25, 0.25, 0.25]
    assert json.loads(run(clients_python, WAITER, SAGELOCAL_POLL_SECONDS="2")) == [2, 2, 2]


def test_zero_leaves_the_waiters_their_own_delay(clients_python: Path) -> None:
    assert json.loads(run(clients_python, WAITER, SAGELOCAL_POLL_SECONDS="0")) == [30, 30, 30]


ENDLESS_WAITER = WAITER.replace("len(seen) < 3", "True").replace(
    'waiter.wait(EndpointName="e")',
    """
try:
    waiter.wait(EndpointName="e")
except botocore.waiter.WaiterError:
    pass
""",
)


def test_a_waiter_waits_as_long_as_before_in_all(clients_python: Path) -> None:
    ours = json.loads(run(clients_python, ENDLESS_WAITER))
    theirs = json.loads(run(clients_python, ENDLESS_WAITER, SAGELOCAL_POLL_SECONDS="0"))

    assert set(theirs) == {30}
    assert sum(ours) == pytest.approx(sum(theirs), rel=0.02)


def test_the_sdks_own_loops_sleep_less(clients_python: Path) -> None:
    code = """
import time, sagemaker.session as s
begin = time.monotonic()
s._wait_until(lambda: "InService", 30)
print(time.monotonic() - begin < 5, s.time.time() > 0)
"""
    assert run(clients_python, code) == "True True"


def test_what_the_sdk_does_every_30_seconds_of_its_sleep_it_does_as_often(
    clients_python: Path,
) -> None:
    code = """
import sagemaker.session as s
begin = s.time.time()
for _ in range(3):
    s.time.sleep(10)
print(round(s.time.time() - begin))
"""
    assert run(clients_python, code, SAGELOCAL_POLL_SECONDS="0.01") == "30"


def test_a_deadline_of_the_sdk_stays_a_real_one(clients_python: Path) -> None:
    code = """
import time, sagemaker.session as s
deadline = s.time.time() + 5
for _ in range(3):
    s.time.sleep(10)
print(s.time.time() > deadline, abs(s.time.time() - time.time()) < 1)
"""
    assert run(clients_python, code, SAGELOCAL_POLL_SECONDS="0.01") == "False True"


TELEMETRY = """
from sagemaker.telemetry import telemetry_logging
from sagemaker.serve.utils import telemetry_logger
sent = []
telemetry_logger.requests.get = lambda *args, **kwargs: sent.append(args)
answer = telemetry_logging._send_telemetry_request(1, [2], None)
telemetry_logger._send_telemetry("1", 3, None)
"""


def test_the_sdk_sends_no_telemetry(clients_python: Path) -> None:
    assert run(clients_python, TELEMETRY + "print(answer, sent)") == "None []"


SDK_3 = """
import json, time
import sagemaker.core.helper.session_helper as session
import sagemaker.core.common_utils, sagemaker.core.resources
begin, counted = time.monotonic(), session.time.time()
session._wait_until(lambda: "InService", 10)
session.time.sleep(20)
counted = session.time.time() - counted
sagemaker.core.common_utils._wait_until(lambda: "Completed", 30)
sagemaker.core.resources.time.sleep(30)
print(json.dumps({
    "slept": round((time.monotonic() - begin) / 45),
    "counted": round(counted),
    "poll of logs": session.EP_LOGGER_POLL,
    "telemetry": [answer, *sent],
}))
"""


def test_the_sdk_3_sleeps_less_looks_as_often_and_sends_no_telemetry(sdk3_python: Path) -> None:
    telemetry = TELEMETRY.replace("sagemaker.telemetry", "sagemaker.core.telemetry")

    assert json.loads(run(sdk3_python, telemetry + SDK_3)) == {
        "slept": 0,
        "counted": 30,
        "poll of logs": 0.25,
        "telemetry": [None],
    }


def test_botocore_does_not_tell_the_address_for_every_client(clients_python: Path) -> None:
    code = """
import io, logging
said = io.StringIO()
logging.basicConfig(level=logging.INFO, stream=said)
import boto3
boto3.client("s3")
logging.getLogger("botocore.configprovider").info("something else")
print(said.getvalue().strip())
"""
    told = run(clients_python, code, AWS_ENDPOINT_URL=PLANE)

    assert told == "INFO:botocore.configprovider:something else"


def test_a_sitecustomize_of_the_users_own_still_runs(clients_python: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os; os.environ['MINE'] = 'ran'")

    assert run(clients_python, "import os; print(os.environ['MINE'])", tmp_path) == "ran"


def test_a_python_that_imports_no_client_imports_none_for_the_hook(clients_python: Path) -> None:
    code = "import sys; print('botocore' in sys.modules, 'typing' in sys.modules)"

    assert run(clients_python, code) == "False False"
