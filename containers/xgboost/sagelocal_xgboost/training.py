"""Training: what SAGEMAKER_TRAINING_MODULE names.

With an entry point (`sagemaker_program`) the user's script runs, without one the algorithm:

    hyperparameters   plan   channels    what is asked for, checked and settled
    files   data   labels                channels to rows
    hosts                                several machines as one
    booster   callbacks                  the rounds, their log lines and checkpoints
    cross_validation                     a model for each fold
    artifact                             xgboost-model

XGBoost itself takes seconds to import: a script's own process does that, and a job that cannot run
ends before.
"""

from __future__ import annotations

import importlib
import logging
import os

from sagelocal_train import Environment, script

from sagelocal_xgboost import channels, originals
from sagelocal_xgboost.declarations import UserError
from sagelocal_xgboost.hyperparameters import TABLE
from sagelocal_xgboost.plan import Plan

logger = logging.getLogger(__name__)

LOG_FORMAT = "[%(asctime)s:%(levelname)s] %(message)s"
TIME_FORMAT = "%Y-%m-%d:%H:%M:%S"


def main(environment: Environment | None = None) -> None:
    """Run the job that /opt/ml describes."""
    environment = Environment.read() if environment is None else environment
    _log_as_the_original(environment.log_level)
    if environment.entry_point is not None:
        logger.info("Invoking user training script.")
        script.run(environment, {"OMP_NUM_THREADS": str(environment.num_cpus)})
        return
    logger.info("Running XGBoost Sagemaker in algorithm mode")
    plan = planned(environment)
    pickled = originals.pickles_its_model(os.environ.get(originals.IMAGE_VARIABLE, ""))
    importlib.import_module("sagelocal_xgboost.algorithm").train(environment, plan, pickled)


def planned(environment: Environment) -> Plan:
    """What the job asks for; raises UserError."""
    plan = Plan.of(TABLE.validate(environment.raw_hyperparameters), environment.num_cpus)
    channels.validate(environment.channels)
    if plan.folds and len(environment.hosts) > 1:
        raise UserError(
            "_kfold: k-fold cross validation is not supported for distributed training; set "
            "InstanceCount to 1"
        )
    if plan.given_up:
        logger.warning("Without effect in this version: %s", ", ".join(plan.given_up))
    return plan


def _log_as_the_original(level: int) -> None:
    """Lines as `[2026-11-21:09:00:00:INFO] ...`, which is what people know from this image."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(logging.Formatter(LOG_FORMAT, TIME_FORMAT))
    logging.getLogger().setLevel(level)
