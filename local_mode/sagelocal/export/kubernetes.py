"""Kubernetes: a Deployment with its Service, HorizontalPodAutoscaler and ServiceAccount.

The Deployment says no number of replicas: the autoscaler does, and another `kubectl apply` must not
take it back. API: Kubernetes 1.30 and later (apps/v1, autoscaling/v2).
"""

from __future__ import annotations

import math
from typing import Any

from sagelocal.export.chaining import (
    FRONT_IMAGE,
    FRONT_MEMORY_MIB,
    FRONT_VCPUS,
    front_arguments,
    front_files,
    refuse_gpus,
)
from sagelocal.export.description import (
    CPU_TARGET_PERCENT,
    PING,
    PING_SECONDS,
    STOP_SECONDS,
    Files,
    Service,
    Stage,
)
from sagelocal.export.fetching import Step, steps, volumes
from sagelocal.export.files import Texts, without_dollars, yaml_text

_STARTUP_PERIOD = 5
_ARCHITECTURE = "kubernetes.io/arch"
_LABEL = "app.kubernetes.io/name"


def kubernetes_files(service: Service) -> Texts:
    """A file for each object; `kubectl apply -f FOLDER` takes all of them."""
    about = f"The endpoint {service.endpoint}, variant {service.variant}"
    labels = {_LABEL: service.name}
    return {
        "serviceaccount.yaml": yaml_text(
            f"{about}: who reads the model in S3. The annotation is for Amazon EKS (IAM roles for\n"
            "service accounts); elsewhere give the pods keys as AWS_ACCESS_KEY_ID and so on.",
            service_account(service),
        ),
        "deployment.yaml": yaml_text(
            f"{about}: the model comes from S3 by init containers, to a volume of the pod.",
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": service.name, "labels": labels},
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": pod(service, service.name),
                    },
                },
            },
        ),
        "service.yaml": yaml_text(
            f"{about}: http://{service.name}/invocations inside the cluster",
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": service.name, "labels": labels},
                "spec": {
                    "selector": labels,
                    "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
                },
            },
        ),
        "autoscaler.yaml": yaml_text(
            f"{about}: how many pods there are. Needs the metrics server.", _autoscaler(service)
        ),
    }


def service_account(service: Service) -> dict[str, Any]:
    """Who the pods are."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": service.name,
            "annotations": {"eks.amazonaws.com/role-arn": service.role},
        },
    }


def pod(service: Service, container_name: str) -> dict[str, Any]:
    """The specification of a pod that serves; the name is that of the container that is asked.

    Raises ExportError for what a pod cannot have.
    """
    refuse_gpus(service)
    found: dict[str, Any] = {
        "serviceAccountName": service.name,
        "terminationGracePeriodSeconds": STOP_SECONDS,
        "nodeSelector": {_ARCHITECTURE: service.machine.architecture},
        "initContainers": [_step(service, step) for step in steps(service)],
        "containers": _fronted(service, container_name)
        if service.has_front
        else [_container(service, service.stages[0], container_name) | _reachable(service)],
        "volumes": [{"name": name, "emptyDir": {}} for name in volumes(service)],
    }
    return {name: value for name, value in found.items() if value}


def _step(service: Service, step: Step) -> dict[str, Any]:
    found: dict[str, Any] = {"name": step.name, "image": step.image, "args": list(step.arguments)}
    if step.reads_s3:
        found["env"] = [{"name": "AWS_REGION", "value": service.region}]
    found["volumeMounts"] = [{"name": n, "mountPath": path} for n, path in step.volumes.items()]
    return found


def _fronted(service: Service, name: str) -> list[dict[str, Any]]:
    """The containers of a pod have one network."""
    resources = {"cpu": f"{FRONT_VCPUS:g}", "memory": f"{FRONT_MEMORY_MIB}Mi"}
    front: dict[str, Any] = {
        "name": name,
        "image": FRONT_IMAGE,
        "command": ["python3"],
        "args": [without_dollars(word) for word in front_arguments(service)],
        "resources": {"requests": resources, "limits": resources},
        **_mounted(front_files(service)),
        "ports": _ports(service),
        # Its /ping is that of all, which says whether to send requests, and not whom to restart.
        "readinessProbe": _probe(service.port, 5, 3),
    }
    # All are told to end at once; what the one before them has under way still has to find them.
    later = {"lifecycle": {"preStop": {"sleep": {"seconds": STOP_SECONDS // 3}}}}
    stages = [
        _container(service, each, service.name_of(each)) | _restarted(service, each.port) | later
        for each in service.stages
    ]
    return [front, *stages]


def _reachable(service: Service) -> dict[str, Any]:
    return {
        "ports": _ports(service),
        "readinessProbe": _probe(service.port, 5, 3),
        **_restarted(service, service.port),
    }


def _ports(service: Service) -> list[dict[str, Any]]:
    return [{"name": "http", "containerPort": service.port, "protocol": "TCP"}]


def _mounted(files: tuple[Files, ...]) -> dict[str, Any]:
    found = [
        {"name": each.folder, "mountPath": each.data.target, "readOnly": True} for each in files
    ]
    return {"volumeMounts": found} if found else {}


def _restarted(service: Service, port: int) -> dict[str, Any]:
    """What has a container start again that does not come up, or no longer answers."""
    failures = math.ceil(service.startup_seconds / _STARTUP_PERIOD)
    return {
        "startupProbe": _probe(port, _STARTUP_PERIOD, failures),
        "livenessProbe": _probe(port, 30, 4),
    }


def _container(service: Service, stage: Stage, name: str) -> dict[str, Any]:
    """Those of a pipeline have equal parts of the machine's processors and memory."""
    parts = len(service.stages)
    resources: dict[str, str] = {
        "cpu": f"{service.machine.vcpus / parts:.3g}",
        "memory": f"{service.machine.memory_mib // parts}Mi",
    }
    if service.machine.gpus:
        resources["nvidia.com/gpu"] = str(service.machine.gpus)
    found: dict[str, Any] = {
        "name": name,
        "image": stage.image,
        "args": ["serve"],
        "env": [
            {"name": name, "value": without_dollars(value)}
            for name, value in service.variables(stage).items()
        ],
        "resources": {"requests": resources, "limits": resources},
    }
    return {**found, **_mounted(stage.files)}


def _probe(port: int, period_seconds: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": PING, "port": port},
        "periodSeconds": period_seconds,
        "timeoutSeconds": PING_SECONDS,
        "failureThreshold": failures,
    }


def _autoscaler(service: Service) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": CPU_TARGET_PERCENT}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": service.name, "labels": {_LABEL: service.name}},
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": service.name,
            },
            "minReplicas": service.replicas,
            "maxReplicas": service.most_replicas,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }
