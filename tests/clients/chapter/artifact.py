"""The artifact in the hands of mxnet itself: the prediction made by hand, on the notebook's model.

    python artifact.py MODEL_FOLDER MONTHS...

Prints a JSON object: weight, bias, and the prediction for each number of months.
"""

import json
import sys
import warnings
from pathlib import Path

import mxnet as mx

folder = Path(sys.argv[1])
months = [float(value) for value in sys.argv[2:]]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    net = mx.gluon.SymbolBlock.imports(
        str(folder / "mx-mod-symbol.json"),
        ["data"],
        str(folder / "mx-mod-0000.params"),
        allow_missing=True,
        ignore_extra=True,
    )
parameters = net.collect_params()
weight = float(parameters["fc0_weight"].data().asnumpy()[0][0])
bias = float(parameters["fc0_bias"].data().asnumpy()[0])
print(
    json.dumps({"weight": weight, "bias": bias, "predictions": [weight * m + bias for m in months]})
)
