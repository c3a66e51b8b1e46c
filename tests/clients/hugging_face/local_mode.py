"""The SDK's own local mode: python local_mode.py FOLDER DATA. The answer on the last line."""

import json
import shutil
import socket
import sys
from pathlib import Path

from sagemaker.huggingface import HuggingFace
from sagemaker.local import LocalSession

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
# Local mode mounts the folder itself, and the script writes to it.
shutil.copytree(Path(__file__).parent / "source", folder / "source")
estimator = HuggingFace(
    entry_point="train.py",
    source_dir=str(folder / "source"),
    role="arn:aws:iam::000000000000:role/Any",
    image_uri="sagelocal/hugging-face:1",
    transformers_version="4.26.0",
    pytorch_version="1.13.1",
    py_version="py39",
    instance_type="local",
    instance_count=1,
    output_path=f"file://{output}",
    hyperparameters={"epochs": 10, "train_batch_size": 8},
    sagemaker_session=session,
)
estimator.fit({"train": f"file://{data}"})
predictor = estimator.deploy(1, "local")
answers = predictor.predict({"inputs": ["this film was good", "the story was bad"]})
predictor.delete_endpoint()
print(json.dumps([each["label"] for each in answers]))
