"""Training in the TensorFlow image: the user's script, and where its model must be.

The script's clusters (TF_CONFIG, parameter servers) are the training toolkit's.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

from sagelocal_train import Environment, script

from sagelocal_tensorflow import keras

logger = logging.getLogger(__name__)

MODEL_DIR_PARAMETER = "model_dir"
TUNING_PARAMETER = "_tuning_objective_metric"
_GUIDE = "https://www.tensorflow.org/guide/saved_model"


def main(environment: Environment) -> None:
    """Run the job's script, then say whether its model can be served."""
    environment = with_model_dir_of_its_own(environment)
    threads = str(environment.num_cpus)
    # TensorFlow counts the machine's processors, and not those that the container may use.
    variables = {
        "OMP_NUM_THREADS": threads,
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
        # As the original: what is printed are warnings and errors.
        "TF_CPP_MIN_LOG_LEVEL": "1",
    }
    script.run(environment, variables | keras.variables(os.environ))
    if doubt := doubt_of(environment.paths.model):
        logger.warning("%s", doubt)


def with_model_dir_of_its_own(environment: Environment) -> Environment:
    """The jobs of one tuner are given the same `model_dir`: each gets a folder of its own in it."""
    given = environment.hyperparameters.get(MODEL_DIR_PARAMETER)
    if TUNING_PARAMETER not in environment.raw_hyperparameters or not isinstance(given, str):
        return environment
    if given.startswith("/opt/ml"):
        return environment
    own = f"{given}/{environment.job_name}/model"
    logger.info("Appending the training job name to model_dir: %s", own)
    return replace(
        environment,
        hyperparameters={**environment.hyperparameters, MODEL_DIR_PARAMETER: own},
    )


def doubt_of(model_dir: Path) -> str | None:
    """What keeps a model folder from being served by TensorFlow Serving; None if nothing does."""
    files = [path for path in model_dir.rglob("*") if path.is_file()]
    graphs = [path for path in files if path.name in ("saved_model.pb", "saved_model.pbtxt")]
    if not files:
        return (
            f"No model artifact is saved under path {model_dir}. Your training job will not save "
            'any model files to S3: save to os.environ["SM_MODEL_DIR"].'
        )
    if not graphs:
        return (
            "Your model will NOT be servable with SageMaker TensorFlow Serving container: there "
            'is no SavedModel. Save it with model.export(os.environ["SM_MODEL_DIR"] + "/1") or '
            f"tf.saved_model.save ({_GUIDE})."
        )
    if not any(graph.parent.name.isdigit() for graph in graphs):
        return (
            "Your model will NOT be servable with SageMaker TensorFlow Serving containers: the "
            f'SavedModel bundle is under directory "{graphs[0].parent.name}", not a numeric name. '
            'Save it to os.environ["SM_MODEL_DIR"] + "/1".'
        )
    return None
