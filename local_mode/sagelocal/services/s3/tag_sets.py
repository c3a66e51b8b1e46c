"""Tag sets: what S3 lets one be, and its form on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sagelocal.protocol.faults import Fault

MAX_OBJECT_TAGS = 10
MAX_BUCKET_TAGS = 50
MAX_KEY_CHARACTERS = 128
MAX_VALUE_CHARACTERS = 256


SYSTEM_TAG = "System tags cannot be added/updated by requester"
SYSTEM_TAG_IN_HEADER = "Your TagKey cannot be prefixed with aws:"


def check_tags(
    pairs: Sequence[tuple[str, str]], *, of_bucket: bool = False, system_tag: str = SYSTEM_TAG
) -> None:
    """Raise the Fault for a tag set that S3 refuses; `system_tag` is what it says of AWS's own."""
    limit = MAX_BUCKET_TAGS if of_bucket else MAX_OBJECT_TAGS
    if len(pairs) > limit:
        thing = "Bucket" if of_bucket else "Object"
        raise Fault("BadRequest", f"{thing} tags cannot be greater than {limit}")
    if len({key for key, _ in pairs}) < len(pairs):
        raise Fault("InvalidTag", "Cannot provide multiple Tags with the same key")
    for key, value in pairs:
        _check_tag(key, value, system_tag)


def _check_tag(key: str, value: str, system_tag: str) -> None:
    if not 0 < len(key) <= MAX_KEY_CHARACTERS:
        raise Fault(
            "InvalidTag", "The TagKey you have provided is invalid", members={"TagKey": key}
        )
    if key.startswith("aws:"):
        raise Fault("InvalidTag", system_tag)
    if len(value) > MAX_VALUE_CHARACTERS:
        raise Fault(
            "InvalidTag",
            "The TagValue you have provided is invalid",
            members={"TagKey": key, "TagValue": value},
        )


def from_wire(tag_set: Sequence[Mapping[str, str]], *, of_bucket: bool = False) -> dict[str, str]:
    """`[{"Key": k, "Value": v}]` as a mapping, checked."""
    pairs = [(tag["Key"], tag.get("Value", "")) for tag in tag_set]
    check_tags(pairs, of_bucket=of_bucket)
    return dict(pairs)


def to_wire(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
