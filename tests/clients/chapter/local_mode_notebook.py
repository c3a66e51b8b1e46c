"""The SDK's own local mode on our image: docker-compose, and no control plane at all.

    python local_mode_notebook.py IMAGE FOLDER FILE.csv

FILE.csv has the label first and no header. Prints the endpoint's answer as the last line.
"""

import json
import sys
from pathlib import Path

from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.local import LocalSession
from sagemaker.serializers import CSVSerializer

image, folder, file = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
session = LocalSession()
estimator = Estimator(
    image,
    "arn:aws:iam::000000000000:role/LocalRole",
    instance_count=1,
    instance_type="local",
    output_path=f"file://{folder}/output",
    sagemaker_session=session,
)
estimator.set_hyperparameters(predictor_type="regressor", mini_batch_size=4)
estimator.fit({"train": TrainingInput(f"file://{file}", content_type="text/csv")})
print("model data:", estimator.model_data)
predictor = estimator.deploy(
    1, "local", serializer=CSVSerializer(), deserializer=JSONDeserializer()
)
try:
    answer = predictor.predict("42")
finally:
    predictor.delete_endpoint()
print(json.dumps(answer))
