"""Tags of every SageMaker resource (API reference: AddTags, ListTags, DeleteTags)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sagelocal.protocol.faults import validation
from sagelocal.services.calls import Call, OperationTable, Params, Result
from sagelocal.services.paging import position_of, token_of

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

MAX_TAGS = 50
DEFAULT_PAGE = 50


def tags_from(params: Params) -> dict[str, str]:
    """The Tags of a request by key. Raises Fault for keys that no resource can have."""
    tags = params.get("Tags", ())
    keys = [tag["Key"] for tag in tags]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise validation(f"Tag keys must be unique; these are given twice: {', '.join(twice)}")
    reserved = [key for key in keys if key.lower().startswith("aws:")]
    if reserved:
        raise validation(
            f"Tag keys that begin with aws: are reserved for use by AWS: {', '.join(reserved)}"
        )
    return {tag["Key"]: tag["Value"] for tag in tags}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags in the shape of the API."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def add_tags(plane: Plane, call: Call, params: Params) -> Result:
    """Add or replace tags; all that the resource has now."""
    arn = _existing(plane, params)
    new = tags_from(params)
    merged = {**plane.resources.tags(arn), **new}
    if len(merged) > MAX_TAGS:
        raise validation(
            f"A resource can have at most {MAX_TAGS} tags; {arn} would have {len(merged)}"
        )
    plane.resources.add_tags(arn, new)
    return {"Tags": tag_list(plane.resources.tags(arn))}


def list_tags(plane: Plane, call: Call, params: Params) -> Result:
    """A page of a resource's tags, by key."""
    tags = tag_list(plane.resources.tags(_existing(plane, params)))
    start = position_of(params.get("NextToken"))
    size = int(params.get("MaxResults", DEFAULT_PAGE))
    page: dict[str, Any] = {"Tags": tags[start : start + size]}
    if start + size < len(tags):
        page["NextToken"] = token_of(start + size)
    return page


def delete_tags(plane: Plane, call: Call, params: Params) -> Result:
    """Remove tags by key; keys that are not there are no error."""
    keys: Sequence[str] = params["TagKeys"]
    plane.resources.delete_tags(_existing(plane, params), keys)
    return {}


def _existing(plane: Plane, params: Params) -> str:
    """The ARN as the resource has it: names are lower case there. Raises Fault."""
    arn: str = params["ResourceArn"].lower()
    if plane.resources.get(arn) is not None:
        return arn
    kind, _, name = arn.split(":", 5)[-1].partition("/")
    if kind == "training-job" or not name:
        raise validation("Requested resource not found.")
    raise validation(f'Could not find {kind.replace("-", " ")} "{arn}".')


OPERATIONS: OperationTable = {
    ("sagemaker", "AddTags"): add_tags,
    ("sagemaker", "ListTags"): list_tags,
    ("sagemaker", "DeleteTags"): delete_tags,
}
