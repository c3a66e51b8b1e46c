"""A built-in algorithm in the SDK's own local mode: docker-compose, and no control plane at all.

    python local_mode.py IMAGE FOLDER FILE '{"feature_dim": 3, ...}' CONTENT_TYPE

Prints the endpoint's answer for `1,2,3` as the last line.
"""

import json
import sys
from pathlib import Path

from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.local import LocalSession
from sagemaker.serializers import CSVSerializer

image, folder, file, given, content_type = sys.argv[1:]
session = LocalSession()
estimator = Estimator(
    image,
    "arn:aws:iam::000000000000:role/LocalRole",
    instance_count=1,
    instance_type="local",
    output_path=Path(folder, "output").as_uri(),
    sagemaker_session=session,
)
estimator.set_hyperparameters(**json.loads(given))
estimator.fit({"train": TrainingInput(Path(file).as_uri(), content_type=content_type)})
predictor = estimator.deploy(
    1, "local", serializer=CSVSerializer(), deserializer=JSONDeserializer()
)
try:
    answer = predictor.predict("1,2,3")
finally:
    predictor.delete_endpoint()
print(json.dumps(answer))
