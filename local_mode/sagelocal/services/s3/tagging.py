"""The tags and the access control list of an object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from sagelocal.services.calls import Call, Params, Result
from sagelocal.services.s3.descriptions import check_acl
from sagelocal.services.s3.owners import access_control
from sagelocal.services.s3.tag_sets import from_wire, to_wire

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane


def get_object_tagging(plane: Plane, call: Call, params: Params) -> Result:
    info = plane.objects.get(params["Bucket"], params["Key"])
    return {"TagSet": to_wire(info.tags)}


def put_object_tagging(plane: Plane, call: Call, params: Params) -> Result:
    _replace_tags(plane, params, from_wire(params["Tagging"].get("TagSet", [])))
    return {}


def delete_object_tagging(plane: Plane, call: Call, params: Params) -> Result:
    _replace_tags(plane, params, {})
    return {}


def _replace_tags(plane: Plane, params: Params, tags: Mapping[str, str]) -> None:
    info = plane.objects.get(params["Bucket"], params["Key"])
    plane.objects.describe(info, replace(info.description, tags=tags))


def get_object_acl(plane: Plane, call: Call, params: Params) -> Result:
    plane.objects.get(params["Bucket"], params["Key"])
    return access_control(call.scope)


def put_object_acl(plane: Plane, call: Call, params: Params) -> Result:
    plane.objects.get(params["Bucket"], params["Key"])
    check_acl(params)
    return {}
