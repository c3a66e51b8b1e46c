"""A variant to export, and what holds files against AWS's own service models."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from sagelocal.domain.models import ModelData
from sagelocal.export.description import Files, Machine, Service, Stage
from sagelocal.protocol.validation import violations

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/toy:1"
ROLE = "arn:aws:iam::123456789012:role/Worker"
GIB = 1024**3

MakeService = Callable[..., Service]


@pytest.fixture
def make_service() -> MakeService:
    """`make_service(**changes)`: an archive on an ml.m5.large in Ireland, unless changed."""

    def make(**changes: Any) -> Service:
        url = "s3://models/toy/model.tar.gz"
        files = Files(ModelData(url, "archive"), url, "model.tar.gz")
        given: dict[str, Any] = {
            "endpoint": "Toy-1",
            "variant": "AllTraffic",
            "region": "eu-west-1",
            "machine": Machine(2, 8 * GIB),
            "role": ROLE,
        }
        only: dict[str, Any] = {
            "image": IMAGE,
            "base_image": "sagelocal/toy:1",
            "files": (files,),
            "name": "",
            "keeps_models": True,
            "environment": {"COLOUR": "blue", "PRICE": "5 $ and $$(COLOUR) ${HOME}"},
        }
        for name in only.keys() & changes.keys():
            only[name] = changes.pop(name)
        return Service(**{**given, "stages": (Stage(**only),), **changes})

    return make


@pytest.fixture(scope="session")
def objections() -> Callable[[str, str, str], list[str]]:
    """`objections(service, operation, text)`: what botocore's model says against JSON input."""
    session = botocore.session.Session()

    def find(service: str, operation: str, text: str) -> list[str]:
        shape: Any = session.get_service_model(service).operation_model(operation).input_shape
        parameters = json.loads(text)
        report = ParamValidator().validate(parameters, shape)
        if report.has_errors():
            return [report.generate_report()]
        return [str(each) for each in violations(shape, parameters)]

    return find
