"""Image Classification in the SDK's own local mode: docker-compose, and no control plane at all.

    python local_mode.py IMAGE FOLDER

FOLDER has train/train.rec, validation/validation.rec and a picture. Prints the endpoint's answer
for the picture as the last line.
"""

import json
import sys
from pathlib import Path

from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.local import LocalSession
from sagemaker.serializers import IdentitySerializer

image, folder = sys.argv[1], Path(sys.argv[2])
estimator = Estimator(
    image,
    "arn:aws:iam::000000000000:role/LocalRole",
    instance_count=1,
    instance_type="local",
    output_path=(folder / "output").as_uri(),
    sagemaker_session=LocalSession(),
)
estimator.set_hyperparameters(
    num_layers=20,
    image_shape="3,12,12",
    num_classes=3,
    num_training_samples=60,
    mini_batch_size=4,
    epochs=4,
    learning_rate=0.05,
)
estimator.fit(
    {
        name: TrainingInput((folder / name).as_uri(), content_type="application/x-recordio")
        for name in ("train", "validation")
    }
)
predictor = estimator.deploy(
    1,
    "local",
    serializer=IdentitySerializer("application/x-image"),
    deserializer=JSONDeserializer(),
)
try:
    answer = predictor.predict((folder / "picture").read_bytes())
finally:
    predictor.delete_endpoint()
print(json.dumps(answer))
