"""Texts of files: YAML and JSON with a word at the top."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

Texts = Mapping[str, str]


class _Dumper(yaml.SafeDumper):
    """Lists indented below their key, as people write them; nothing is an alias."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:
        return True


def yaml_text(comment: str, document: Mapping[str, Any]) -> str:
    """YAML below a comment of one or more lines."""
    lines = "".join(f"# {line}\n" for line in comment.splitlines())
    return lines + yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )


def json_text(document: Mapping[str, Any]) -> str:
    """JSON, as `--cli-input-json` reads it."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def without_dollars(value: str) -> str:
    """For formats that put variables in: `$$` is a plain dollar in Compose and in Kubernetes."""
    return value.replace("$", "$$")
