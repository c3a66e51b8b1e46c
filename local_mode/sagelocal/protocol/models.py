"""botocore's service models, loaded on first use and kept.

The models are the JSON files that botocore ships (`botocore/data/<service>/<date>/service-2.json`);
they name every operation, shape, constraint and wire location, and are what clients are made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape, StructureShape

from sagelocal.protocol.routing import Router

_LOADER = Loader()


@dataclass(frozen=True)
class Service:
    """One AWS service as botocore describes it. `name` is botocore's (`sagemaker-runtime`)."""

    name: str
    model: ServiceModel

    @cached_property
    def protocol(self) -> str:
        """`json`, `query`, `ec2`, `rest-json`, `rest-xml` or `smithy-rpc-v2-cbor`."""
        return str(self.model.metadata["protocol"])

    @cached_property
    def router(self) -> Router:
        """Finds the operation of a REST request."""
        return Router(self.operation(name) for name in self.model.operation_names)

    @cached_property
    def _errors(self) -> Mapping[str, StructureShape]:
        by_code: dict[str, StructureShape] = {}
        for shape in self.model.error_shapes:
            if not isinstance(shape, StructureShape):
                continue
            by_code.setdefault(shape.name, shape)
            by_code.setdefault(str(shape.metadata.get("error", {}).get("code", shape.name)), shape)
        return by_code

    def operation(self, name: str) -> OperationModel:
        """The model of an operation that is known to exist."""
        return self.model.operation_model(name)

    def has_operation(self, name: str) -> bool:
        return name in self.model.operation_names

    def error(self, code: str) -> StructureShape | None:
        """The modelled shape of an error, by its code on the wire or its shape's name."""
        return self._errors.get(code)


@cache
def load(name: str) -> Service | None:
    """The service of that botocore name, or None if botocore has none."""
    try:
        description = _LOADER.load_service_model(name, "service-2")
    except UnknownServiceError:
        return None
    return Service(name, ServiceModel(description, name))


def wire_name(shape: Shape, default: str) -> str:
    """What a member is called on the wire."""
    return str(shape.serialization.get("name", default))
