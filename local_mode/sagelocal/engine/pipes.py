"""The channels of Pipe mode: what goes through them, laid down for the process that feeds them.

The feeder (`sagelocal.runtime.feeding`) outlives the plane and knows nothing of S3, so a host's
`pipes/` folder holds all that it needs:

    plan.json       channels, their records in order, how to shuffle, deal out, unzip and wrap them
    objects/<n>     hard links to objects, which stay when the object is replaced or deleted
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sagelocal.domain.channels import Channel
from sagelocal.domain.training_spec import Host, TrainingSpec
from sagelocal.engine.opt_ml import OptMl, channels_of, shard_of
from sagelocal.engine.placing import Check, place
from sagelocal.engine.sources import Record, find_objects, find_records
from sagelocal.runtime.feeding import PLAN
from sagelocal.store.objects import ObjectInfo, ObjectStore


def lay_pipes(
    objects: ObjectStore, spec: TrainingSpec, host: Host, opt_ml: OptMl, check: Check
) -> None:
    """Write what the feeder of a host needs; nothing if no channel is a pipe.

    Raises InputDataError.
    """
    channels = [c for c in channels_of(spec, host) if c.input_mode == "Pipe"]
    if not channels:
        return
    (opt_ml.pipes / "objects").mkdir(parents=True)
    numbers = itertools.count(1)
    plan = {
        "folder": str(opt_ml.data.resolve()),
        "channels": [
            _planned(spec, host, channel, _laid(objects, channel, opt_ml, check, numbers))
            for channel in channels
        ],
    }
    (opt_ml.pipes / PLAN).write_text(json.dumps(plan))


def _planned(
    spec: TrainingSpec, host: Host, channel: Channel, records: Sequence[Sequence[dict[str, str]]]
) -> dict[str, Any]:
    index, count = shard_of(spec, host, channel)
    return {
        "name": channel.name,
        "seed": channel.shuffle_seed,
        "index": index,
        "count": count,
        "gzip": channel.compression == "Gzip",
        "recordio": channel.record_wrapper == "RecordIO",
        "records": records,
    }


def _laid(
    objects: ObjectStore, channel: Channel, opt_ml: OptMl, check: Check, numbers: Iterator[int]
) -> list[list[dict[str, str]]]:
    """A channel's records, their objects linked. One object that is named twice is linked twice."""

    def item(found: str | ObjectInfo) -> dict[str, str]:
        if isinstance(found, str):
            return {"text": found}
        check()
        target = opt_ml.pipes / "objects" / str(next(numbers))
        place(objects, objects.link, found, target)
        return {"file": str(target.resolve()), "source": f"s3://{found.bucket}/{found.key}"}

    return [[item(found) for found in record] for record in _records(objects, channel)]


def _records(objects: ObjectStore, channel: Channel) -> Iterable[Record]:
    if channel.data_type == "AugmentedManifestFile":
        return find_records(objects, channel)
    return [(source.info,) for source in find_objects(objects, channel)]
