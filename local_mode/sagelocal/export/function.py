"""AWS Lambda: an image of its own on top of the endpoint's, with the model in it.

A function has no port. AWS's Lambda Web Adapter (github.com/awslabs/aws-lambda-web-adapter), an
extension that is put into the image, takes the function's calls and makes HTTP requests of them;
outside of Lambda it does nothing. A function's files can only be read, and nothing is fetched when
it starts: the model is a layer of the image.

Limits: AWS Lambda developer guide, "Lambda quotas" and "Defined runtime environment variables".
"""

from __future__ import annotations

import json
import re
from typing import Any

from sagelocal.export.description import (
    ANSWER_SECONDS,
    PING,
    PORT,
    ExportError,
    Service,
)
from sagelocal.export.files import Texts, json_text

ADAPTER = "public.ecr.aws/awsguru/aws-lambda-adapter:0.9.1"
MOST_MEMORY_MIB = 10_240
_MOST_VARIABLES_BYTES = 4096
_RESERVED = {"AWS_REGION", "AWS_DEFAULT_REGION"}
_VARIABLE = re.compile(r"^[a-zA-Z][a-zA-Z0-9_]+$")
_ARCHITECTURES = {"amd64": "x86_64", "arm64": "arm64"}
_DOCKERFILE = """\
# The endpoint {endpoint} (variant {variant}) as an image for AWS Lambda; see README.md.
ARG ADAPTER_IMAGE={adapter}
FROM $ADAPTER_IMAGE AS adapter
FROM {image}
COPY --from=adapter /lambda-adapter /opt/extensions/lambda-adapter
{copies}\
ENV AWS_LWA_PORT={port} AWS_LWA_READINESS_CHECK_PATH={ping} \\
    AWS_LWA_READINESS_CHECK_HEALTHY_STATUS=200 AWS_LWA_ASYNC_INIT=true \\
    AWS_LWA_PASS_THROUGH_PATH=/invocations
CMD ["serve"]
"""


def function_files(service: Service) -> Texts:
    """The Dockerfile, and the inputs of CreateFunction and of what goes with it.

    Raises ExportError for what a function cannot have.
    """
    if service.is_pipeline:
        raise ExportError(
            f"the variant {service.variant} is a pipeline of {len(service.stages)} containers, and "
            "a function of AWS Lambda is one container; export it --to ecs, kubernetes, kserve or "
            "compose, or put the steps into one image"
        )
    if service.has_many_models:
        raise ExportError(
            f"the variant {service.variant} has many models (Mode MultiModel), and nothing in a "
            "function of AWS Lambda loads them; export it --to ecs, kubernetes, kserve or compose, "
            "or make an endpoint with one of them, and export that"
        )
    if service.machine.gpus:
        raise ExportError(
            f"the variant {service.variant} has {service.machine.gpus} GPU(s), and AWS Lambda has "
            "none; export it --to ecs, kubernetes or kserve"
        )
    files = {
        "Dockerfile": _dockerfile(service),
        "create-function.json": json_text(_function(service)),
        "create-function-url-config.json": json_text(
            {
                "FunctionName": service.endpoint,
                "AuthType": "AWS_IAM",
                "InvokeMode": "BUFFERED",
            }
        ),
    }
    concurrency = service.machine.serverless_concurrency
    if concurrency is not None:
        files["put-function-concurrency.json"] = json_text(
            {
                "FunctionName": service.endpoint,
                "ReservedConcurrentExecutions": concurrency,
            }
        )
    return files


def _dockerfile(service: Service) -> str:
    (stage,) = service.stages
    copies = "".join(f"COPY {each.folder} {each.data.target}\n" for each in stage.files)
    return _DOCKERFILE.format(
        endpoint=service.endpoint,
        variant=service.variant,
        adapter=ADAPTER,
        image=stage.base_image,
        copies=copies,
        port=PORT,
        ping=PING,
    )


def _function(service: Service) -> dict[str, Any]:
    return {
        "FunctionName": service.endpoint,
        "Description": f"The SageMaker endpoint {service.endpoint}, variant {service.variant}",
        "PackageType": "Image",
        "Code": {"ImageUri": service.stages[0].image},
        "Role": service.role,
        "Architectures": [_ARCHITECTURES[service.machine.architecture]],
        "MemorySize": min(service.machine.memory_mib, MOST_MEMORY_MIB),
        "Timeout": ANSWER_SECONDS,
        "Environment": {"Variables": _variables(service)},
    }


def _variables(service: Service) -> dict[str, str]:
    """Without the region, which Lambda itself says. Raises ExportError."""
    variables = service.variables(service.stages[0])
    found = {name: v for name, v in variables.items() if name not in _RESERVED}
    for name in found:
        if not _VARIABLE.match(name):
            raise ExportError(
                f"AWS Lambda takes no variable named {name!r} (letters, digits and _ only, at "
                "least two, a letter first); rename it in the model, or export --to ecs"
            )
    size = len(json.dumps(found))
    if size > _MOST_VARIABLES_BYTES:
        raise ExportError(
            f"the model's environment has {size:,} bytes, and AWS Lambda takes "
            f"{_MOST_VARIABLES_BYTES:,}; shorten it, or export --to ecs"
        )
    return found
