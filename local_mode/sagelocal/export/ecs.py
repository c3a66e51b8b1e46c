"""Amazon ECS: a task definition and a service, on Fargate where it is large enough.

The files are inputs of the API, for `aws ecs ... --cli-input-json`. Sizes of Fargate's tasks:
Amazon ECS developer guide, "Task definition parameters for Fargate", task size.
"""

from __future__ import annotations

import math
from typing import Any

from sagelocal.export.chaining import FRONT_IMAGE, front_arguments, front_files, refuse_gpus
from sagelocal.export.description import (
    CPU_TARGET_PERCENT,
    FILL_IN,
    STOP_SECONDS,
    Files,
    Machine,
    Service,
    Stage,
)
from sagelocal.export.fetching import Step, steps, volumes
from sagelocal.export.files import Texts, json_text
from sagelocal.export.ping import COMMAND_SECONDS, ping_command

FARGATE, EC2 = "FARGATE", "EC2"
CLUSTER = "default"
_GIB = 1024
# vCPUs: memory in MiB from, to, in steps of. The smallest size has 512 besides.
_FARGATE_SIZES: dict[float, tuple[int, int, int]] = {
    0.25: (512, 2 * _GIB, 512),
    0.5: (1 * _GIB, 4 * _GIB, _GIB),
    1: (2 * _GIB, 8 * _GIB, _GIB),
    2: (4 * _GIB, 16 * _GIB, _GIB),
    4: (8 * _GIB, 30 * _GIB, _GIB),
    8: (16 * _GIB, 60 * _GIB, 4 * _GIB),
    16: (32 * _GIB, 120 * _GIB, 8 * _GIB),
}
_MOST_START_PERIOD = 300
_CPU_UNITS = 1024
_ARCHITECTURES = {"amd64": "X86_64", "arm64": "ARM64"}


def ecs_files(service: Service) -> Texts:
    """The inputs of RegisterTaskDefinition, CreateService, and of the scaling of its tasks.

    Raises ExportError for what a task cannot have.
    """
    refuse_gpus(service)
    size = fargate_size(service.machine)
    return {
        "task-definition.json": json_text(_task_definition(service, size)),
        "service.json": json_text(_service(service, FARGATE if size else EC2)),
        "scalable-target.json": json_text(_scalable_target(service)),
        "scaling-policy.json": json_text(_scaling_policy(service)),
    }


def fargate_size(machine: Machine) -> tuple[int, int] | None:
    """The smallest task with at least that much, in CPU units and MiB; None if Fargate has none."""
    if machine.gpus:
        return None
    for vcpus, (least, most, step) in _FARGATE_SIZES.items():
        if vcpus >= machine.vcpus and most >= machine.memory_mib:
            wanted = max(machine.memory_mib, least)
            return int(vcpus * _CPU_UNITS), least + math.ceil((wanted - least) / step) * step
    return None


def _task_definition(service: Service, size: tuple[int, int] | None) -> dict[str, Any]:
    machine = service.machine
    cpu, memory = size or (int(machine.vcpus * _CPU_UNITS), machine.memory_mib)
    return {
        "family": service.endpoint,
        "requiresCompatibilities": [FARGATE if size else EC2],
        "networkMode": "awsvpc",
        "cpu": str(cpu),
        "memory": str(memory),
        "runtimePlatform": {
            "cpuArchitecture": _ARCHITECTURES[machine.architecture],
            "operatingSystemFamily": "LINUX",
        },
        # The one pulls the image and writes the log, the other reads the model.
        "executionRoleArn": service.role,
        "taskRoleArn": service.role,
        "volumes": [{"name": name} for name in volumes(service)],
        "containerDefinitions": [
            *_before(service),
            *(_container(service, stage) for stage in service.stages),
            *([_front(service)] if service.has_front else []),
        ],
    }


def _before(service: Service) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for step in steps(service):
        earlier = [{"containerName": found[-1]["name"], "condition": "SUCCESS"}] if found else []
        found.append(_step(service, step) | ({"dependsOn": earlier} if earlier else {}))
    return found


def _step(service: Service, step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "image": step.image,
        "essential": False,
        "command": list(step.arguments),
        "mountPoints": [
            {"sourceVolume": name, "containerPath": path} for name, path in step.volumes.items()
        ],
        "logConfiguration": _log(service, step.name),
    }


def _front(service: Service) -> dict[str, Any]:
    """The containers of a task have one network. It ends before those that it depends on, so that
    what is under way by then still finds them ("Container dependency" of the developer guide).
    """
    stages = [service.name_of(stage) for stage in service.stages]
    return {
        "name": service.name,
        "image": FRONT_IMAGE,
        "essential": True,
        "entryPoint": ["python3"],
        "command": front_arguments(service),
        "dependsOn": [{"containerName": name, "condition": "START"} for name in stages],
        **_reachable(service),
        "mountPoints": _mounted(front_files(service)),
        "stopTimeout": STOP_SECONDS,
        "logConfiguration": _log(service, "front"),
    }


def _reachable(service: Service) -> dict[str, Any]:
    return {
        "portMappings": [
            {
                "name": "http",
                "containerPort": service.port,
                "protocol": "tcp",
                "appProtocol": "http",
            }
        ],
        "healthCheck": {
            "command": ["CMD-SHELL", ping_command(service.port)],
            "interval": 15,
            "timeout": COMMAND_SECONDS,
            "retries": 3,
            "startPeriod": min(service.startup_seconds, _MOST_START_PERIOD),
        },
    }


def _container(service: Service, stage: Stage) -> dict[str, Any]:
    before = steps(service)
    found: dict[str, Any] = {
        "name": service.name_of(stage),
        "image": stage.image,
        "essential": True,
        "command": ["serve"],
        "environment": [{"name": n, "value": v} for n, v in service.variables(stage).items()],
        **({} if service.has_front else _reachable(service)),
        "mountPoints": _mounted(stage.files),
        "stopTimeout": STOP_SECONDS,
        "logConfiguration": _log(service, stage.name or "serve"),
    }
    if before:
        found["dependsOn"] = [{"containerName": before[-1].name, "condition": "SUCCESS"}]
    if service.machine.gpus:
        found["resourceRequirements"] = [{"type": "GPU", "value": str(service.machine.gpus)}]
    return found


def _mounted(files: tuple[Files, ...]) -> list[dict[str, Any]]:
    return [
        {"sourceVolume": each.folder, "containerPath": each.data.target, "readOnly": True}
        for each in files
    ]


def _log(service: Service, prefix: str) -> dict[str, Any]:
    return {
        "logDriver": "awslogs",
        "options": {
            "awslogs-group": f"/ecs/{service.endpoint}",
            "awslogs-create-group": "true",
            "awslogs-region": service.region,
            "awslogs-stream-prefix": prefix,
        },
    }


def _service(service: Service, launch_type: str) -> dict[str, Any]:
    return {
        "cluster": CLUSTER,
        "serviceName": service.endpoint,
        "taskDefinition": service.endpoint,
        "desiredCount": service.replicas,
        "launchType": launch_type,
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": [f"subnet-{FILL_IN}"],
                "securityGroups": [f"sg-{FILL_IN}"],
            }
        },
        "deploymentConfiguration": {
            "minimumHealthyPercent": 100,
            "maximumPercent": 200,
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        },
        "propagateTags": "SERVICE",
    }


def _resource(service: Service) -> dict[str, str]:
    return {
        "ServiceNamespace": "ecs",
        "ResourceId": f"service/{CLUSTER}/{service.endpoint}",
        "ScalableDimension": "ecs:service:DesiredCount",
    }


def _scalable_target(service: Service) -> dict[str, Any]:
    return {
        **_resource(service),
        "MinCapacity": service.replicas,
        "MaxCapacity": service.most_replicas,
    }


def _scaling_policy(service: Service) -> dict[str, Any]:
    metric = {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}
    return {
        "PolicyName": f"{service.endpoint}-cpu",
        **_resource(service),
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": float(CPU_TARGET_PERCENT),
            "PredefinedMetricSpecification": metric,
        },
    }
