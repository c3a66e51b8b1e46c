"""The README.md of an export: what is in it, what to fill in, what to run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sagelocal.export.chaining import FRONT_IMAGE
from sagelocal.export.description import FILL_IN, Service
from sagelocal.export.fetching import AWS_CLI, BUSYBOX
from sagelocal.export.files import Texts
from sagelocal.export.function import MOST_MEMORY_MIB
from sagelocal.export.targets import Target

_COMPOSE = """\
```sh
docker-compose up -d          # or: docker compose up -d; PORT=9000 before it for another port
curl -i http://127.0.0.1:8080/ping
curl -X POST -H 'Content-Type: text/csv' --data-binary @rows.csv http://127.0.0.1:8080/invocations
docker-compose down
```

The container is healthy when /ping answers 200, which is asked from inside it by curl, wget or
Python; an image that has none of them serves, and is never called healthy.
"""
_ECS = """\
```sh
aws ecs register-task-definition --cli-input-json file://task-definition.json
aws ecs create-service --cli-input-json file://service.json
aws application-autoscaling register-scalable-target --cli-input-json file://scalable-target.json
aws application-autoscaling put-scaling-policy --cli-input-json file://scaling-policy.json
```

The tasks listen on port 8080. Put a load balancer before them by `loadBalancers` in service.json: a
target group of type `ip`, whose health check is /ping. The container's own health check asks /ping
by curl, wget or Python; take it out for an image that has none of them.

The role (`executionRoleArn` and `taskRoleArn`; two roles are better) is one that
ecs-tasks.amazonaws.com may assume, and that may pull the image (ecr:GetAuthorizationToken,
ecr:BatchGetImage, ecr:GetDownloadUrlForLayer), write the log (logs:CreateLogGroup,
logs:CreateLogStream, logs:PutLogEvents) and read the model (s3:GetObject, s3:ListBucket).
"""
_KUBERNETES = """\
```sh
kubectl apply -f .
kubectl port-forward service/{name} 8080:80
curl -X POST -H 'Content-Type: text/csv' --data-binary @rows.csv http://127.0.0.1:8080/invocations
```

A pod asks for all of what the instance type has; a node of the same type has a little less to
give. Take a larger one, or lower `resources`.
"""
_KSERVE = """\
```sh
kubectl apply -f .
kubectl get inferenceservice {name}
```

Requests go to /invocations at the address that the InferenceService shows. It asks for plain
Deployments (`RawDeployment`, today called Standard): with Knative, init containers have to be
allowed in its configuration first. A pod asks for all of what the instance type has; lower
`resources` where no node has that much.
"""
_LAMBDA = """\
```sh
BUILDX_NO_DEFAULT_ATTESTATIONS=1 docker build -t {repository}:{tag} .
sagelocal push {repository}:{tag} --repository {repository}
aws lambda create-function --cli-input-json file://create-function.json
aws lambda create-function-url-config --cli-input-json file://create-function-url-config.json
{concurrency}\
```

The image is the endpoint's with two layers more: the model, and AWS's Lambda Web Adapter, which
makes HTTP requests to port 8080 of the calls of the function. The address of the function's URL
takes `POST /invocations` as an endpoint's container does; `aws lambda invoke` posts its payload
there as JSON. The role is one that lambda.amazonaws.com may assume.

What is other than on an endpoint: the container is not run by root, files can only be read but for
those in /tmp, there is no /dev/shm, a request and an answer have 6 MB at most, each copy of the
container has one request at a time, and memory ends at {most_memory:,} MiB. The image may have
10 GB, with the model.
"""
_HOW: Mapping[str, str] = {
    "compose": _COMPOSE,
    "ecs": _ECS,
    "kubernetes": _KUBERNETES,
    "kserve": _KSERVE,
    "lambda": _LAMBDA,
}
_FETCHED = f"""\
Before the container starts, one container of `{AWS_CLI}` fetches the model
from S3 to a volume, and where it is an archive one of `{BUSYBOX}`
unpacks it; the container sees it read-only, where an endpoint's does.
"""


_PIPELINE = f"""\
It is a pipeline of {{count}} containers, which SageMaker itself hands requests through. Here a
program of a hundred lines does, in a container of `{FRONT_IMAGE}`
before them: it listens on port 8080, and each container on a port of its own
(SAGEMAKER_BIND_TO_PORT). It ends before them, with what it has under way answered.
"""


_MANY = f"""\
It has many models (Mode MultiModel), of which SageMaker itself loads what is asked for. Here a
program of two hundred lines does, in a container of `{FRONT_IMAGE}`
before the other: it takes the requests, of which each names its model as it is called below the
endpoint's prefix, and has the container load it, and give up others where it has no room.

```sh
curl -X POST -H 'X-Amzn-SageMaker-Target-Model: one.tar.gz' -H 'Content-Type: text/csv' \\
    --data-binary @rows.csv http://127.0.0.1:8080/invocations
```

The models are those that are there when {{moment}}; one that is added later is not seen.
"""


def guide(service: Service, target: Target, texts: Texts, *, brought: bool) -> str:
    """Its text; `brought` says that the exported folder has the model as it lies in S3."""
    of_base = target.name == "lambda"
    images = (each.base_image if of_base else each.image for each in service.stages)
    image = "` and `".join(dict.fromkeys(images))
    sections = [
        f"# {service.endpoint}, for {target.name}",
        f"Made by `sagelocal export {service.endpoint} --to {target.name}`: the variant "
        f"{service.variant}, with the image `{image}`. The files "
        "hold the model's environment; whoever may not see it must not see them.",
        *([_PIPELINE.format(count=len(service.stages))] if service.is_pipeline else []),
        *([_many(target)] if service.has_many_models else []),
        "## The model",
        "\n".join(_model(service, target, brought)),
    ]
    to_fill_in = filled_in(texts)
    if to_fill_in:
        lines = [f"- {name}: {', '.join(what)}" for name, what in to_fill_in.items()]
        sections += ["## To fill in", "\n".join([f"Where a file says {FILL_IN}:", "", *lines])]
    sections += ["## To run it", _how(service, target)]
    if service.not_exported:
        sections += [
            "## What is left behind",
            "The endpoint has these, and the files here do not: "
            f"{', '.join(service.not_exported)}.",
        ]
    return "\n\n".join(section.rstrip("\n") for section in sections) + "\n"


def _many(target: Target) -> str:
    moment = "they are exported" if target.brings_model else "the containers start"
    return _MANY.format(moment=moment)


def filled_in(texts: Texts) -> dict[str, list[str]]:
    """The values that a user has to replace, by file."""
    found: dict[str, list[str]] = {}
    for name, text in texts.items():
        values = dict.fromkeys(
            word.strip("\"',")
            for line in text.splitlines()
            for word in line.split()
            if FILL_IN in word
        )
        if values:
            found[name] = list(values)
    return found


def _how(service: Service, target: Target) -> str:
    named = service.stages[0].image.partition("/")[2].partition("@")[0]
    repository, _, tag = named.partition(":")
    name = "put-function-concurrency"
    concurrency = (
        f"aws lambda {name} --cli-input-json file://{name}.json\n"
        if service.machine.serverless_concurrency is not None
        else ""
    )
    return _HOW[target.name].format(
        name=service.name,
        repository=repository,
        tag=tag or "latest",
        concurrency=concurrency,
        most_memory=MOST_MEMORY_MIB,
    )


def _model(service: Service, target: Target, brought: bool) -> Iterator[str]:
    if not service.files:
        yield "The endpoint's model has no files besides the image."
    elif target.brings_model:
        how = "in a layer of the image" if target.name == "lambda" else "mounted read-only"
        for each in service.files:
            yield f"`{each.folder}/` is {each.data.url}, unpacked; it is {how}"
            yield f"at {each.data.target}."
    else:
        yield _FETCHED
        copied = [each for each in service.files if brought or each.url != each.data.url]
        if copied:
            yield "The files have to be where they are looked for:"
            yield "\n```sh"
            for each in copied:
                more = " --recursive" if each.data.layout == "prefix" else ""
                yield f"aws s3 cp{more} {each.here if brought else each.data.url} {each.url}"
            yield "```"
    if service.reads_s3:
        yield f"\n{', '.join(service.reads_s3)} names something in S3, which the container itself"
        yield "reads: it needs credentials and that object."
