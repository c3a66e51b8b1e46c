"""KServe: an InferenceService with a container of one's own as its predictor.

It asks for KServe's mode of plain Deployments, which every version knows by this name (today also
`Standard`): with Knative, init containers have to be allowed first. The model is fetched as in the
Kubernetes export, for KServe's own initializer puts it at /mnt/models, where no SageMaker image
looks.
"""

from __future__ import annotations

from sagelocal.export.description import ANSWER_SECONDS, CPU_TARGET_PERCENT, Service
from sagelocal.export.files import Texts, yaml_text
from sagelocal.export.kubernetes import pod, service_account

# KServe takes the container of this name for the one that answers.
_CONTAINER = "kserve-container"


def kserve_files(service: Service) -> Texts:
    """The InferenceService, and the account that its pods have."""
    about = f"The endpoint {service.endpoint}, variant {service.variant}"
    predictor = {
        "minReplicas": service.replicas,
        "maxReplicas": service.most_replicas,
        "scaleMetric": "cpu",
        "scaleTarget": CPU_TARGET_PERCENT,
        "timeout": ANSWER_SECONDS,
        **pod(service, _CONTAINER),
    }
    return {
        "serviceaccount.yaml": yaml_text(
            f"{about}: who reads the model in S3; see README.md", service_account(service)
        ),
        "inferenceservice.yaml": yaml_text(
            f"{about}: POST /invocations at the address in its status",
            {
                "apiVersion": "serving.kserve.io/v1beta1",
                "kind": "InferenceService",
                "metadata": {
                    "name": service.name,
                    "annotations": {"serving.kserve.io/deploymentMode": "RawDeployment"},
                },
                "spec": {"predictor": predictor},
            },
        ),
    }
