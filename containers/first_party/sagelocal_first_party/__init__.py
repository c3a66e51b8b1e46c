"""What Amazon's numeric built-in algorithms have in common, from the first log line to the answer.

A family declares its hyperparameters and channels; the rest of the contract is here:

    job        the beginning of every job: configuration, log, channels
    channels   files and pipes to datasets, with errors that name file and row
    rows       datasets: dense and sparse rows, a batch at a time
    log        the lines that people and metric regexes look for
    hosts      sums over the hosts of a job
    artifact   model_algo-1: what is in it, where it is
    serving    requests and answers of an endpoint
    compiled   functions in C, where a compiler was at hand

Imports go upwards in this list only where they must; none knows a family.
"""

from sagelocal_first_party import artifact
from sagelocal_first_party.artifact import ArtifactError
from sagelocal_first_party.channels import DataChannel, train_and_test
from sagelocal_first_party.hosts import Group, joined
from sagelocal_first_party.job import Family, Job
from sagelocal_first_party.log import JobLog, Metric
from sagelocal_first_party.rows import Dataset, DenseRows, FilledRows, Rows
from sagelocal_first_party.serving import Columns, Features, FirstParty, Records

__all__ = [
    "ArtifactError",
    "Columns",
    "DataChannel",
    "Dataset",
    "DenseRows",
    "Family",
    "Features",
    "FilledRows",
    "FirstParty",
    "Group",
    "Job",
    "JobLog",
    "Metric",
    "Records",
    "Rows",
    "artifact",
    "joined",
    "train_and_test",
]
