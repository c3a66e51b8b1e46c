"""What `serve` runs in the TensorFlow image.

TensorFlow is imported here, late, because two settings must be known before: how many processes
there are, and whether anybody will need Keras, whose import takes a third of TensorFlow's and
which no SavedModel needs.
"""

from __future__ import annotations

import importlib
import os
import sys

from sagelocal_serve import Handler, Settings
from sagelocal_serve.script.location import find_script

from sagelocal_tensorflow.options import Options

_WORKERS = "SAGEMAKER_MODEL_SERVER_WORKERS"


def app(settings: Settings) -> Handler:
    """The handler for these settings; raises SettingsError, ScriptError."""
    options = Options.read(os.environ)
    _start_instances(options)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if not settings.multi_model and find_script(settings, settings.model_dir) is None:
        # With this, `import tensorflow` leaves Keras 3 alone (tensorflow/__init__.py).
        os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    handler = importlib.import_module("sagelocal_tensorflow.handler")
    made: Handler = handler.TensorFlowHandler(settings, options)
    return made


def _start_instances(options: Options) -> None:
    """Begin anew with as many workers as there shall be servers of TensorFlow."""
    if options.instances is None or os.environ.get(_WORKERS):
        return
    os.environ[_WORKERS] = str(options.instances)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
