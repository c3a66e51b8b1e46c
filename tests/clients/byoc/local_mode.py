"""The SDK's own local mode: python local_mode.py IMAGE FOLDER DATA. The answer on the last line."""

import sys
from pathlib import Path

from sagemaker.deserializers import StringDeserializer
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession
from sagemaker.serializers import CSVSerializer

image, folder, data = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
session = LocalSession()
output = folder / "output"
output.mkdir(exist_ok=True)
estimator = Estimator(
    image,
    "arn:aws:iam::000000000000:role/Any",
    instance_count=1,
    instance_type="local",
    output_path=f"file://{output}",
    hyperparameters={"mode": "plain"},
    sagemaker_session=session,
)
estimator.fit({"train": f"file://{data}"})
predictor = estimator.deploy(
    1, "local", serializer=CSVSerializer(), deserializer=StringDeserializer()
)
answer = predictor.predict([3, 5])
predictor.delete_endpoint()
print(answer)
