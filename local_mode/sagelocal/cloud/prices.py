"""What a launch costs at most, by a price list that the user keeps.

A price list is CSV with a header, or JSON with a list of objects of the same keys:

    instance_type,price_per_hour,region,use
    ml.m5.large,0.115,,
    ml.m5.large,0.134,eu-central-1,training

`region` and `use` (training, endpoint, transform) may be left out or empty, which is any; the line
that says most about a launch counts. Prices are in whatever one currency the list is in.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from sagelocal.account import CloudError
from sagelocal.cloud.plan import Plan
from sagelocal.cloud.spec import KINDS, EndpointSpec, Instances, Spec, TrainingSpec

_COLUMNS = ("instance_type", "price_per_hour", "region", "use")
_SECONDS_PER_HOUR = 3600
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class Price:
    """One line of the list; `region` and `use` are empty for any."""

    instance_type: str
    per_hour: Decimal
    region: str = ""
    use: str = ""

    def applies(self, instance_type: str, region: str, use: str) -> bool:
        return (
            self.instance_type == instance_type
            and self.region in ("", region)
            and self.use in ("", use)
        )


@dataclass(frozen=True)
class Cost:
    """What all instances cost an hour, and to the job's limit; None where there is no limit."""

    per_hour: Decimal
    most: Decimal | None
    explanation: str
    until: str = "it has ended"

    def __str__(self) -> str:
        if self.most is None:
            return f"{self.per_hour} per hour, until {self.until} ({self.explanation})"
        return f"at most {self.most} ({self.explanation})"


def load_prices(path: Path) -> tuple[Price, ...]:
    """The prices in a file. Raises CloudError, naming the line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CloudError(f"the price list {path} cannot be read: {error}") from error
    rows = _json(path, text) if path.suffix.lower() == ".json" else _csv(path, text)
    return tuple(_price(f"{path}, {where}", row) for where, row in rows)


def cost_of(spec: Spec, plan: Plan, prices: tuple[Price, ...], region: str) -> Cost | None:
    """What a plan costs; None if the list has no price for it, or it has no instances."""
    instances = spec.compute if isinstance(spec, EndpointSpec) else spec.instances
    if not isinstance(instances, Instances):
        return None
    fitting = [each for each in prices if each.applies(instances.type, region, spec.kind)]
    if not fitting:
        return None
    price = max(fitting, key=lambda each: (bool(each.region), bool(each.use)))
    per_hour = price.per_hour * instances.count
    words = f"{instances.count} x {instances.type} at {price.per_hour} per hour"
    if not isinstance(spec, TrainingSpec):
        until = "it is deleted" if isinstance(spec, EndpointSpec) else "it has ended"
        return Cost(per_hour, None, words, until)
    seconds = spec.limits.max_run_seconds
    most = (per_hour * seconds / _SECONDS_PER_HOUR).quantize(_CENT)
    spot = "; spot instances cost less" if spec.limits.spot else ""
    return Cost(per_hour, most, f"{words} for max_run_seconds = {seconds}{spot}")


def _csv(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text), restkey="more than the header has")
    _require_columns(path, reader.fieldnames or ())
    for row in reader:
        yield f"line {reader.line_num}", row


def _json(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        document = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise CloudError(f"the price list {path} is no JSON: {error}") from error
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise CloudError(f"the price list {path} is not a list of objects with {_COLUMNS[:2]}")
    for number, row in enumerate(document, start=1):
        yield f"entry {number}", row


def _require_columns(path: Path, names: Any) -> None:
    missing = [name for name in _COLUMNS[:2] if name not in names]
    if missing:
        raise CloudError(
            f"the price list {path} has no column {missing[0]!r}; its first line is the header, "
            f"such as `{','.join(_COLUMNS)}`"
        )


def _price(where: str, row: Mapping[str, Any]) -> Price:
    unknown = sorted(set(row) - set(_COLUMNS))
    if unknown:
        raise CloudError(f"{where}: {unknown[0]!r} is not one of {', '.join(_COLUMNS)}")
    kind, text = str(row.get("instance_type") or "").strip(), row.get("price_per_hour")
    try:
        per_hour = Decimal(str(text).strip())
    except InvalidOperation:
        per_hour = Decimal("nan")
    if not kind or not per_hour.is_finite() or per_hour < 0:
        raise CloudError(
            f"{where}: instance_type is {kind!r} and price_per_hour {text!r}; "
            "they must be an instance type and a number such as 0.115"
        )
    use = str(row.get("use") or "").strip()
    if use and use not in KINDS:
        raise CloudError(f"{where}: use is {use!r}; it must be one of {', '.join(KINDS)} or empty")
    return Price(kind, per_hour, str(row.get("region") or "").strip(), use)
