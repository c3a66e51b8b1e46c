"""`sagelocal logs`: what a job's or an endpoint's containers printed, read from the log files."""

from __future__ import annotations

import time
from pathlib import Path

import click

from sagelocal.cli.options import data_option
from sagelocal.domain.training import TrainingJobStatus
from sagelocal.engine.log_tail import Tail
from sagelocal.store.database import Database
from sagelocal.store.logs import LogStore
from sagelocal.store.resources import Resources

TRAINING_GROUP = "/aws/sagemaker/TrainingJobs"
ENDPOINT_GROUPS = "/aws/sagemaker/Endpoints/"
LOOK_SECONDS = 0.2
GOING_ON = (TrainingJobStatus.IN_PROGRESS, TrainingJobStatus.STOPPING)


@click.command()
@data_option
@click.argument("name", metavar="JOB-OR-ENDPOINT")
@click.option("-f", "--follow", is_flag=True, help="go on until the job ends (or Ctrl-C)")
def logs(data_dir: Path, name: str, follow: bool) -> None:
    """Print the log of a training job or an endpoint."""
    if not (data_dir / "plane.sqlite").exists():
        raise click.ClickException(f"{data_dir} is no data directory; give the plane's with --data")
    database = Database(data_dir / "plane.sqlite")
    try:
        resources = Resources(database)
        tail = _find(resources, LogStore(data_dir / "logs"), name)
        _print(tail)
        while follow and _goes_on(resources, name):
            time.sleep(LOOK_SECONDS)
            _print(tail)
        _print(tail)
    except KeyboardInterrupt:
        pass
    finally:
        database.close()


def _print(tail: Tail) -> None:
    for line in tail.new_lines():
        click.echo(line)


def _find(resources: Resources, store: LogStore, name: str) -> Tail:
    if resources.named("training-job", name):
        return Tail(store, TRAINING_GROUP, f"{name}/")
    group = ENDPOINT_GROUPS + name
    if resources.named("endpoint", name) or group in store.groups(group):
        return Tail(store, group, "")
    raise click.ClickException(
        f"there is no training job or endpoint named {name!r}; "
        "`aws sagemaker list-training-jobs` under `sagelocal exec` lists them"
    )


def _goes_on(resources: Resources, name: str) -> bool:
    jobs = resources.named("training-job", name)
    if jobs:
        return any(job.status in GOING_ON for job in jobs)
    return bool(resources.named("endpoint", name))
