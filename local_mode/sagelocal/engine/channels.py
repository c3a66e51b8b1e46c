"""Input channels laid out for a host, as its input mode says; nothing is copied where avoidable.

    File       /opt/ml/input/data/CHANNEL/..., which the job may overwrite
    FastFile   the same, to be read only
    Pipe       /opt/ml/input/data/CHANNEL_0, _1, ...: see `pipes`

What follows a prefix's folder is kept as the path below the channel; a manifest, of either kind, is
left beside it as CHANNEL-manifest.

Where overlay mounts work, a channel's folder is hard links to the objects' own files, which never
change, in the lower layer; what the job writes goes to the upper layer, and a job of gigabytes
starts at once. Elsewhere each object is cloned: disk blocks are shared where the file system can,
else copied. Either way no job can change an object.
"""

from __future__ import annotations

from collections.abc import Sequence

from sagelocal.domain.channels import Channel, epoch_order
from sagelocal.domain.training_spec import Host, TrainingSpec
from sagelocal.engine.opt_ml import OptMl, channels_of, shard_of
from sagelocal.engine.pipes import lay_pipes
from sagelocal.engine.placing import Check, place
from sagelocal.engine.sources import Source, find_manifest, find_objects
from sagelocal.store.objects import ObjectStore


def stage(
    objects: ObjectStore,
    spec: TrainingSpec,
    host: Host,
    opt_ml: OptMl,
    check: Check = lambda: None,
    *,
    overlay: bool = False,
) -> None:
    """Lay out every channel of a host. `check` is called between objects and may raise.

    `overlay` says that `opt_ml`'s mounts will be kept apart from what they show. Raises
    InputDataError.
    """
    for channel in channels_of(spec, host):
        if channel.data_type != "S3Prefix":
            manifest = find_manifest(objects, channel)
            place(objects, objects.stage, manifest, opt_ml.data / f"{channel.name}-manifest")
        if channel.input_mode != "Pipe":
            _stage_folder(objects, spec, host, opt_ml, channel, check, overlay=overlay)
    lay_pipes(objects, spec, host, opt_ml, check)


def _stage_folder(
    objects: ObjectStore,
    spec: TrainingSpec,
    host: Host,
    opt_ml: OptMl,
    channel: Channel,
    check: Check,
    *,
    overlay: bool,
) -> None:
    folder, way = opt_ml.channel(channel.name), objects.stage
    folder.mkdir(parents=True, exist_ok=True)
    if overlay:
        folder, way = opt_ml.shown(channel.name), objects.link
        folder.mkdir(parents=True)
        if channel.input_mode == "File":
            opt_ml.scratch(channel.name).mkdir()
    for source in _of_host(find_objects(objects, channel), spec, host, channel):
        check()
        place(objects, way, source.info, folder / source.path)


def _of_host(
    sources: Sequence[Source], spec: TrainingSpec, host: Host, channel: Channel
) -> Sequence[Source]:
    index, count = shard_of(spec, host, channel)
    return epoch_order(sources, channel.shuffle_seed, 0, index, count)
