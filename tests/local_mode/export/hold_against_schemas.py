"""Reads YAML files and prints, a line each, what the published schemas say against them.

Runs in the environment of `make schemas`. Objects of Kubernetes are held strictly against its own
JSON schemas (kubernetes-validate). An InferenceService is held against the models that KServe
makes from its OpenAPI definitions: no member that is not theirs, every kind right, nothing missing;
and the pod in it against Kubernetes' schema of a pod.
"""

import re
import sys

import kserve.models
import kubernetes.client.models
import kubernetes_validate
import yaml

VERSION = kubernetes_validate.latest_version()
PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float), "object": object}


def objections(document):
    if document["kind"] != "InferenceService":
        yield from of_kubernetes(document)
        return
    yield from of_model(document, "V1beta1InferenceService", document["kind"])
    predictor = document["spec"]["predictor"]
    pods = set(kubernetes.client.models.V1PodSpec.attribute_map.values())
    pod = {name: value for name, value in predictor.items() if name in pods}
    metadata = {"name": "predictor"}
    yield from of_kubernetes({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod})


def of_kubernetes(document):
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{document['kind']}: {error.message}"


def of_model(value, kind, path):
    """`kind` is as the models write it: `list[V1Container]`, `dict(str, str)`, `int`."""
    if inner := re.fullmatch(r"list\[(.+)\]", kind):
        for number, each in enumerate(value):
            yield from of_model(each, inner[1], f"{path}[{number}]")
    elif inner := re.fullmatch(r"dict\(str, (.+)\)", kind):
        for name, each in value.items():
            yield from of_model(each, inner[1], f"{path}.{name}")
    elif kind in PLAIN:
        if not isinstance(value, PLAIN[kind]):
            yield f"{path}: {value!r} is no {kind}"
    else:
        yield from of_class(value, kind, path)


def of_class(value, kind, path):
    model = getattr(kserve.models, kind, None) or getattr(kubernetes.client.models, kind, None)
    if model is None:  # A quantity or another plain value with a name.
        return
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is no {kind}"
        return
    attributes = {wire: name for name, wire in model.attribute_map.items()}
    for wire, each in value.items():
        if wire not in attributes:
            yield f"{path}: {kind} has no {wire!r}"
        else:
            yield from of_model(each, model.openapi_types[attributes[wire]], f"{path}.{wire}")
    try:
        model(**{attributes[wire]: each for wire, each in value.items() if wire in attributes})
    except ValueError as error:
        yield f"{path}: {error}"


for file in sys.argv[1:]:
    with open(file) as text:
        for objection in objections(yaml.safe_load(text)):
            print(f"{file}: {objection}")
