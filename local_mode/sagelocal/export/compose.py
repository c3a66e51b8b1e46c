"""Docker Compose: the container on this machine or any other, with the model beside the file.

The file follows the Compose specification (github.com/compose-spec/compose-spec, 05-services.md)
as far as docker-compose 1.27 knows it. A limit of processors is said as a quota, which a machine
with fewer of them takes too; `cpus` it would refuse.
"""

from __future__ import annotations

from typing import Any

from sagelocal.export.chaining import FRONT_IMAGE, front_arguments, front_files
from sagelocal.export.description import (
    PORT,
    STOP_SECONDS,
    Files,
    Service,
    Stage,
)
from sagelocal.export.files import Texts, without_dollars, yaml_text
from sagelocal.export.ping import COMMAND_SECONDS, ping_command

_PERIOD = 100_000
_ABOUT = """\
The endpoint {endpoint} (variant {variant}): docker-compose up, then
curl -X POST http://127.0.0.1:8080/invocations. PORT=9000 docker-compose up takes another port."""
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def compose_files(service: Service) -> Texts:
    """docker-compose.yml."""
    about = _ABOUT.format(endpoint=service.endpoint, variant=service.variant)
    services = {service.name_of(stage): _service(service, stage) for stage in service.stages}
    if service.has_front:
        services = {service.name: _front(service), **services}
    return {"docker-compose.yml": yaml_text(about, {"services": services})}


def _front(service: Service) -> dict[str, Any]:
    """It depends on the containers so that it ends before them: Compose stops in that order, and
    what is under way by then still finds them.
    """
    arguments = front_arguments(service, by_name=True)
    return {
        "image": f"${{FRONT_IMAGE:-{FRONT_IMAGE}}}",
        "entrypoint": ["python3"],
        "command": [without_dollars(word) for word in arguments],
        "depends_on": [service.name_of(stage) for stage in service.stages],
        **_mounted(front_files(service)),
        **_reachable(service),
    }


def _mounted(files: tuple[Files, ...]) -> dict[str, Any]:
    found = [f"./{each.folder}:{each.data.target}:ro" for each in files]
    return {"volumes": found} if found else {}


def _reachable(service: Service) -> dict[str, Any]:
    return {
        "ports": [f"127.0.0.1:${{PORT:-{PORT}}}:{service.port}"],
        **_ended(),
        "healthcheck": {
            "test": ["CMD-SHELL", without_dollars(ping_command(service.port))],
            "interval": "5s",
            "timeout": f"{COMMAND_SECONDS}s",
            "retries": 3,
            "start_period": f"{service.startup_seconds}s",
        },
    }


def _ended() -> dict[str, Any]:
    return {"restart": "unless-stopped", "stop_grace_period": f"{STOP_SECONDS}s"}


def _service(service: Service, stage: Stage) -> dict[str, Any]:
    machine = service.machine
    found: dict[str, Any] = {
        "image": stage.image,
        "command": ["serve"],
        "environment": _environment(service, stage),
        "mem_limit": machine.memory_bytes,
        "cpu_period": _PERIOD,
        "cpu_quota": int(machine.vcpus * _PERIOD),
        **(_ended() if service.has_front else _reachable(service)),
        **_mounted(stage.files),
    }
    if machine.gpus:
        device = {"driver": "nvidia", "count": machine.gpus, "capabilities": ["gpu"]}
        found["deploy"] = {"resources": {"reservations": {"devices": [device]}}}
    return found


def _environment(service: Service, stage: Stage) -> dict[str, str | None]:
    """A variable without a value is that of whoever calls docker-compose."""
    passed = dict.fromkeys(_CREDENTIALS if stage.reads_s3 else ())
    given = {name: without_dollars(value) for name, value in service.variables(stage).items()}
    return {**passed, **given}
