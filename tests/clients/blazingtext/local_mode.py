"""The SDK's own local mode on the image: docker-compose, and no control plane at all.

    python local_mode.py IMAGE FOLDER FILE

FILE has labelled sentences. Prints the endpoint's answer as the last line.
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
        "mode": "supervised",
        "epochs": 10,
        "vector_dim": 5,
        "buckets": 100,
        "min_count": 1,
        "learning_rate": 0.3,
    },
)
estimator.fit({"train": f"file://{file}"})
predictor = estimator.deploy(
    1, "local", serializer=JSONSerializer(), deserializer=JSONDeserializer()
)
try:
    answer = predictor.predict({"instances": ["nice happy day"]})
finally:
    predictor.delete_endpoint()
print("\n" + json.dumps(answer))
