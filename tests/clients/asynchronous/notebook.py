"""What a user of asynchronous inference writes: python notebook.py. JSON on the last line."""

import io
import json
import tarfile

import boto3
import sagemaker
from sagemaker.async_inference import AsyncInferenceConfig
from sagemaker.async_inference.waiter_config import WaiterConfig
from sagemaker.deserializers import JSONDeserializer, StringDeserializer
from sagemaker.exceptions import AsyncInferenceModelError
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer

session = sagemaker.Session()
bucket = session.default_bucket()
SCRIPT = """
import json
def model_fn(model_dir): return None
def transform_fn(model, body, content_type, accept):
    return json.dumps({"sum": sum(map(float, body.split(","))), "type": content_type}), accept
"""
packed = io.BytesIO()
with tarfile.open(fileobj=packed, mode="w:gz") as tar:
    member = tarfile.TarInfo("code/inference.py")
    member.size = len(SCRIPT)
    tar.addfile(member, io.BytesIO(SCRIPT.encode()))
boto3.client("s3").put_object(Bucket=bucket, Key="async/model.tar.gz", Body=packed.getvalue())

model = Model(
    "sagelocal/base:1",
    f"s3://{bucket}/async/model.tar.gz",
    sagemaker.get_execution_role(),
    predictor_cls=Predictor,
    sagemaker_session=session,
)
predictor = model.deploy(
    1,
    "ml.m5.large",
    serializer=CSVSerializer(),
    deserializer=JSONDeserializer(),
    async_inference_config=AsyncInferenceConfig(
        output_path=f"s3://{bucket}/async/out", failure_path=f"s3://{bucket}/async/failed"
    ),
)
# The SDK looks for a failure as long as this, also when the answer is there.
waiter = WaiterConfig(max_attempts=20, delay=1)
report = {"answer": predictor.predict([1, 2, 3.5], waiter_config=waiter)}
report["later"] = predictor.predict_async([4, 5]).get_result(waiter)
predictor.deserializer = StringDeserializer()  # what went wrong is told in plain words
try:
    predictor.predict(["no number"], waiter_config=waiter)
except AsyncInferenceModelError as error:
    report["failure"] = str(error)
predictor.delete_endpoint()
print(json.dumps(report))
