"""The SDK's own local mode: python local_mode.py FOLDER DATA. The answer on the last line."""

import socket
import sys
from pathlib import Path

import numpy as np
from sagemaker.local import LocalSession
from sagemaker.pytorch import PyTorch

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
estimator = PyTorch(
    entry_point="iris.py",
    source_dir=str(Path(__file__).parent / "source"),
    role="arn:aws:iam::000000000000:role/Any",
    image_uri="sagelocal/pytorch:1",
    framework_version="1.13.1",
    py_version="py39",
    instance_type="local",
    instance_count=1,
    output_path=f"file://{output}",
    hyperparameters={"epochs": 100, "lr": 0.05},
    sagemaker_session=session,
)
estimator.fit({"train": f"file://{data}"})
predictor = estimator.deploy(1, "local")
rows = np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]], np.float32)
answer = predictor.predict(rows)
predictor.delete_endpoint()
print(answer.argmax(1).tolist())
