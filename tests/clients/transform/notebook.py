"""What a user of batch transform writes: python notebook.py. One line of JSON at the end."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.transformer import Transformer

session = sagemaker.Session()
role = sagemaker.get_execution_role()
bucket = session.default_bucket()
report: dict[str, Any] = {}

# A model that has learned which of two columns is the larger.
x = np.random.default_rng(0).normal(size=(400, 2)).round(3)
rows = "".join(f"{int(a > b)},{a},{b}\n" for a, b in x)
data = session.upload_string_as_file_body(rows, bucket, "batch/train/rows.csv")
estimator = Estimator(
    sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, "1.7-1"),
    role,
    1,
    "ml.m5.large",
    sagemaker_session=session,
    hyperparameters={"objective": "binary:logistic", "num_round": 20},
)
estimator.fit({"train": TrainingInput(data, content_type="text/csv")}, logs=False)

# Two files with an id before the features, which is joined with the score.
asked = {"a": ["first,2,1", "second,-1,1"], "more/b": ["third,1.5,0.5"]}
for name, lines in asked.items():
    session.upload_string_as_file_body("\n".join(lines) + "\n", bucket, f"batch/ask/{name}.csv")


def outputs(prefix: str) -> dict[str, list[str]]:
    found = {}
    for key in session.list_s3_files(bucket, prefix):
        found[key.removeprefix(prefix + "/")] = session.read_s3_file(bucket, key).splitlines()
    return found


transformer = estimator.transformer(
    1,
    "ml.m5.large",
    strategy="MultiRecord",
    assemble_with="Line",
    accept="text/csv",
    output_path=f"s3://{bucket}/batch/answers",
    max_payload=1,
)
transformer.transform(
    f"s3://{bucket}/batch/ask",
    content_type="text/csv",
    split_type="Line",
    input_filter="$[1:]",
    join_source="Input",
    output_filter="$[0,-1]",
    wait=True,
    logs=True,
)
report["joined"] = outputs("batch/answers")

again = Transformer.attach(transformer.latest_transform_job.name, session)
report["attached"] = [again.output_path, again.assemble_with]

# What the endpoint would refuse fails the job, and says why.
session.upload_string_as_file_body("1,2,3,4,5,6\n", bucket, "batch/wrong/rows.csv")
transformer.output_path = f"s3://{bucket}/batch/wrong-answers"
try:
    transformer.transform(f"s3://{bucket}/batch/wrong/", content_type="text/csv", split_type="Line")
except sagemaker.exceptions.UnexpectedStatusException as error:
    report["refused"] = str(error)

aws = [str(Path(sys.executable).with_name("aws")), "sagemaker", "list-transform-jobs"]
listed = subprocess.run([*aws, "--output", "json"], capture_output=True, text=True, check=True)
report["cli"] = [
    j["TransformJobStatus"] for j in json.loads(listed.stdout)["TransformJobSummaries"]
]
print(json.dumps(report))
