"""The SDK's own local mode: python local_mode.py FOLDER DATA. The answer on the last line."""

import socket
import sys
from pathlib import Path

from sagemaker.local import LocalSession
from sagemaker.tensorflow import TensorFlow

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
estimator = TensorFlow(
    entry_point="train.py",
    source_dir=str(Path(__file__).parent / "source"),
    role="arn:aws:iam::000000000000:role/Any",
    image_uri="sagelocal/tensorflow:1",
    framework_version="2.19.0",
    py_version="py312",
    model_dir=False,
    instance_type="local",
    instance_count=1,
    output_path=f"file://{output}",
    hyperparameters={"epochs": 2},
    sagemaker_session=session,
)
estimator.fit({"training": f"file://{data}"})
predictor = estimator.deploy(1, "local")
answer = predictor.predict({"instances": [1.0, 2.0, 5.0]})
predictor.delete_endpoint()
print(answer)
