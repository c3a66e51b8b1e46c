"""The SDK's own local mode on the image: docker-compose, and no control plane at all.

    python local_mode.py IMAGE FOLDER FILE

FILE has series of days, in JSON Lines. Prints the endpoint's answer for the first, in JSON, as the
last line.
"""

import json
import sys
from pathlib import Path

from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession
from sagemaker.serializers import JSONSerializer

image, folder, file = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
session = LocalSession()
estimator = Estimator(
    image,
    "arn:aws:iam::000000000000:role/LocalRole",
    instance_count=1,
    instance_type="local",
    output_path=f"file://{folder}/output",
    sagemaker_session=session,
    hyperparameters={
        "time_freq": "D",
        "context_length": 7,
        "prediction_length": 3,
        "epochs": 1,
        "num_cells": 6,
        "num_layers": 1,
        "mini_batch_size": 8,
    },
)
estimator.fit({"train": f"file://{file}"})
first = json.loads(file.read_text().splitlines()[0])
predictor = estimator.deploy(
    1, "local", serializer=JSONSerializer(), deserializer=JSONDeserializer()
)
try:
    answer = predictor.predict({"instances": [first]})
finally:
    predictor.delete_endpoint()
print("\n" + json.dumps(answer["predictions"]))
