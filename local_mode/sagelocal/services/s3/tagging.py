"""The tags and the access control list of an object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from sagelocal.services.calls import Call, Params, Result
from sagelocal.services.s3.descriptions import check_acl
from sagelocal.services.s3.owners import access_control
from sagelocal.services.s3.tag_sets import from_wire, to_wire
from sagelocal.services.s3.versions import chosen, read_members

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane


def get_object_tagging(plane: Plane, call: Call, params: Params) -> Result:
    info = chosen(plane.objects, call, params)
    return {"TagSet": to_wire(info.tags), **read_members(plane.objects, info)}


def put_object_tagging(plane: Plane, call: Call, params: Params) -> Result:
    return _replace_tags(plane, call, params, from_wire(params["Tagging"].get("TagSet", [])))


def delete_object_tagging(plane: Plane, call: Call, params: Params) -> Result:
    return _replace_tags(plane, call, params, {})


def _replace_tags(plane: Plane, call: Call, params: Params, tags: Mapping[str, str]) -> Result:
    info = chosen(plane.objects, call, params)
    plane.objects.describe(info, replace(info.description, tags=tags))
    return read_members(plane.objects, info)


def get_object_acl(plane: Plane, call: Call, params: Params) -> Result:
    chosen(plane.objects, call, params)
    return access_control(call.scope)


def put_object_acl(plane: Plane, call: Call, params: Params) -> Result:
    chosen(plane.objects, call, params)
    check_acl(params)
    return {}
