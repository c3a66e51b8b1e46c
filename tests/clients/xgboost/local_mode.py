"""The SDK's own local mode on the built image: python local_mode.py IMAGE DATA FOLDER"""

import sys
from pathlib import Path

from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.local import LocalSession
from sagemaker.serializers import CSVSerializer

image, data, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
session = LocalSession()
output = folder / "output"
output.mkdir(exist_ok=True)
estimator = Estimator(
    image,
    "arn:aws:iam::000000000000:role/local",
    1,
    "local",
    output_path=f"file://{output}",
    sagemaker_session=session,
    hyperparameters={"objective": "binary:logistic", "num_round": 6, "max_depth": 3, "eta": 0.4},
)
estimator.fit({"train": TrainingInput(f"file://{data}/train", content_type="text/csv")})
predictor = estimator.deploy(1, "local", serializer=CSVSerializer())
answer = predictor.predict(Path(data, "rows.csv").read_text()).decode()
predictor.delete_endpoint()
print(answer.split())
