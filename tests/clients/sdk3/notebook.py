"""What a user of the SDK 3.x writes: python notebook.py SOURCE DATA. JSON on its last line."""

import json
import sys

from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, TrainingJob
from sagemaker.core.shapes import MetricDefinition
from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train.model_trainer import ModelTrainer

source, data = sys.argv[1:]
image = "sagelocal/base:1"
session, role = Session(), get_execution_role()
report = {"role": role, "bucket": session.default_bucket()}


def trainer(**hyperparameters: object) -> ModelTrainer:
    """A script with its folder, on one host."""
    return ModelTrainer(
        training_image=image,
        source_code=SourceCode(source_dir=source, entry_script="train.py"),
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        hyperparameters=hyperparameters,
        base_job_name="sums",
        sagemaker_session=session,
    ).with_metric_definitions([MetricDefinition(name="total", regex="total=(.*?);")])


channel = InputData(channel_name="train", data_source=data)
good = trainer(factor=2.5)
good.train(input_data_config=[channel])
job = good._latest_training_job
report["job"] = {
    "status": job.training_job_status,
    "steps": [step.status for step in job.secondary_status_transitions],
    "metrics": {metric.metric_name: metric.value for metric in job.final_metric_data_list},
}
bad = trainer(fail=True)
try:
    bad.train(input_data_config=[channel])
except Exception as error:
    report["failure"] = f"{type(error).__name__}: {error}"
report["failed"] = [
    found.training_job_name for found in TrainingJob.get_all(status_equals="Failed")
]
report["bad"] = bad._latest_training_job.training_job_name

builder = ModelBuilder(
    image_uri=image,
    s3_model_data_url=job.model_artifacts.s3_model_artifacts,
    source_code=SourceCode(source_dir=source, entry_script="inference.py"),
    role_arn=role,
    sagemaker_session=session,
)
model = builder.build(model_name="sums")
endpoint = builder.deploy(
    endpoint_name="sums", initial_instance_count=1, instance_type="ml.m5.large"
)
answer = endpoint.invoke(body="[1, 2]", content_type="application/json")
report["answer"] = json.loads(answer.body.read())
report["endpoints"] = [each.endpoint_name for each in Endpoint.get_all()]
configuration = EndpointConfig.get(endpoint_config_name=endpoint.endpoint_name)
endpoint.delete()
endpoint.wait_for_delete()
configuration.delete()
model.delete()
report["left"] = [
    found.get_name() for kind in (Endpoint, EndpointConfig, Model) for found in kind.get_all()
]
print(json.dumps(report))
