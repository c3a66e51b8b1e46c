"""The SDK's own local mode: python local_mode.py FOLDER DATA. The answer on the last line."""

import socket
import sys
from pathlib import Path

import numpy as np
from sagemaker.local import LocalSession
from sagemaker.sklearn import SKLearn

folder, data = Path(sys.argv[1]), sys.argv[2]
session = LocalSession()
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
session.config = {
    "local": {"local_code": True, "container_root": str(folder), "serving_port": port}
}
output = folder / "output"
output.mkdir(exist_ok=True)
estimator = SKLearn(
    entry_point="iris.py",
    source_dir=str(Path(__file__).parent / "source"),
    role="arn:aws:iam::000000000000:role/Any",
    image_uri="sagelocal/scikit-learn:1",
    instance_type="local",
    instance_count=1,
    output_path=f"file://{output}",
    hyperparameters={"max-iter": 500},
    sagemaker_session=session,
)
estimator.fit({"train": f"file://{data}"})
predictor = estimator.deploy(1, "local")
answer = predictor.predict(np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]]))
predictor.delete_endpoint()
print(answer.tolist())
