"""A SageMaker notebook as its author wrote it for the cloud: nothing in it knows of sagelocal.

    python notebook.py OUTPUT_FOLDER

It trains Linear Learner on salaries, looks into the artifact, deploys the model, calls it, compares
it with the test split, draws the line, and takes everything down again. What it saw is left in
OUTPUT_FOLDER/results.json for whoever ran it.
"""

import io
import json
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import boto3
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.model import Model
from sagemaker.s3 import S3Downloader, S3Uploader
from sagemaker.serializers import CSVSerializer
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent
OUTPUT = Path(sys.argv[1])
NAME = f"salaries-{int(time.time() * 1000)}"
results = {"name": NAME, "seconds": {}}


def cell(title):
    print(f"\n[{title}]", flush=True)


def timed(name, call):
    begin = time.perf_counter()
    value = call()
    results["seconds"][name] = round(time.perf_counter() - begin, 3)
    return value


cell("session, role and bucket")
session = sagemaker.Session()
role = sagemaker.get_execution_role()
bucket = session.default_bucket()
region = session.boto_region_name
print(role, bucket, region)
results.update(role=role, bucket=bucket, region=region)

cell("split the salaries, label first, no header")
salaries = pd.read_csv(HERE / "salaries.csv")
train, test = train_test_split(salaries, test_size=0.3, random_state=0)
buffer = io.StringIO()
train[["monthly_salary", "management_experience_months"]].to_csv(buffer, header=False, index=False)
training_data = f"s3://{bucket}/{NAME}/train/salaries.csv"
S3Uploader.upload_string_as_file_body(buffer.getvalue(), training_data)
print(len(train), "rows for training,", len(test), "for the test")

cell("train")
image = sagemaker.image_uris.retrieve("linear-learner", region, "1")
estimator = Estimator(
    image,
    role,
    instance_count=1,
    instance_type="ml.m5.xlarge",
    output_path=f"s3://{bucket}/{NAME}/output",
    sagemaker_session=session,
    tags=[{"Key": "chapter", "Value": "salaries"}],
)
estimator.set_hyperparameters(predictor_type="regressor", mini_batch_size=4)
channels = {"train": TrainingInput(f"s3://{bucket}/{NAME}/train", content_type="text/csv")}
timed("fit", lambda: estimator.fit(channels))
job = estimator.latest_training_job.name
print("model data:", estimator.model_data)
results.update(job=job, image=image, model_data=estimator.model_data)

cell("look into the artifact")
S3Downloader.download(estimator.model_data, str(OUTPUT))
with tarfile.open(OUTPUT / "model.tar.gz") as archive:
    archive.extractall(OUTPUT / "model")
with zipfile.ZipFile(OUTPUT / "model" / "model_algo-1") as archive:
    print(archive.namelist())
    archive.extractall(OUTPUT / "model")

cell("deploy")
model = Model(image_uri=image, model_data=estimator.model_data, role=role, name=NAME)
endpoint = f"{NAME}-endpoint"
timed("deploy", lambda: model.deploy(1, "ml.m5.large", endpoint_name=endpoint))
predictor = sagemaker.Predictor(
    endpoint, session, serializer=CSVSerializer(), deserializer=JSONDeserializer()
)

cell("predict")
print("42 months:", predictor.predict("42"))
print("42 and 81 months:", predictor.predict(["42", "81"]))
results["predict_42"] = predictor.predict("42")["predictions"][0]["score"]
results["predict_42_81"] = [p["score"] for p in predictor.predict(["42", "81"])["predictions"]]
runtime = boto3.client("sagemaker-runtime")
answer = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body=b"42")
print(answer["InvokedProductionVariant"], answer["ContentType"], answer["Body"].read().decode())
results["variant"] = answer["InvokedProductionVariant"]

cell("how good it is on the test split")
months = test[["management_experience_months"]].to_numpy()
truth = test["monthly_salary"].to_numpy(dtype=float)
predicted = np.array([p["score"] for p in predictor.predict(months)["predictions"]])
errors = predicted - truth
results["test"] = {
    "rmse": float(np.sqrt(np.mean(errors**2))),
    "mse": float(np.mean(errors**2)),
    "mae": float(np.mean(np.abs(errors))),
}
print(results["test"])
fitted = predictor.predict(train[["management_experience_months"]].to_numpy())["predictions"]
residuals = np.array([p["score"] for p in fitted]) - train["monthly_salary"].to_numpy(dtype=float)
results["train_rmse"] = float(np.sqrt(np.mean(residuals**2)))
slope, intercept = np.polyfit(train.iloc[:, 0], train.iloc[:, 1], 1)
least = train["monthly_salary"] - (slope * train["management_experience_months"] + intercept)
results["least_squares_train_rmse"] = float(np.sqrt(np.mean(least**2)))

cell("draw it")
line = np.linspace(salaries.iloc[:, 0].min(), salaries.iloc[:, 0].max(), 50)
scores = [p["score"] for p in predictor.predict(line.reshape(-1, 1))["predictions"]]
figure, axes = plt.subplots(figsize=(7, 4.5))
axes.scatter(train.iloc[:, 0], train.iloc[:, 1], label="training rows")
axes.scatter(test.iloc[:, 0], test.iloc[:, 1], marker="s", label="test rows")
axes.plot(line, scores, color="black", label="the endpoint's answers")
axes.set_xlabel("management experience, months")
axes.set_ylabel("monthly salary")
axes.legend()
figure.tight_layout()
figure.savefig(OUTPUT / "salaries.png", dpi=120)
print(OUTPUT / "salaries.png")

cell("describe, list, tags")
client = boto3.client("sagemaker")
description = client.describe_training_job(TrainingJobName=job)
results["status"] = description["TrainingJobStatus"]
results["transitions"] = [t["Status"] for t in description["SecondaryStatusTransitions"]]
results["metrics"] = {
    m["MetricName"]: m["Value"] for m in description.get("FinalMetricDataList", [])
}
results["tags"] = client.list_tags(ResourceArn=description["TrainingJobArn"])["Tags"]
client.add_tags(
    ResourceArn=description["TrainingJobArn"], Tags=[{"Key": "reviewed", "Value": "yes"}]
)
results["tags_after"] = client.list_tags(ResourceArn=description["TrainingJobArn"])["Tags"]
results["listed"] = {
    "jobs": [
        j["TrainingJobName"]
        for j in client.list_training_jobs(StatusEquals="Completed")["TrainingJobSummaries"]
    ],
    "models": [m["ModelName"] for m in client.list_models(NameContains=NAME)["Models"]],
    "endpoints": [
        e["EndpointName"]
        for e in client.list_endpoints(StatusEquals="InService", NameContains=NAME)["Endpoints"]
    ],
}
results["endpoint_status"] = client.describe_endpoint(EndpointName=endpoint)["EndpointStatus"]
print(json.dumps(results["listed"], indent=2))

cell("take it down")


def delete_endpoint():
    predictor.delete_endpoint(delete_endpoint_config=False)
    client.get_waiter("endpoint_deleted").wait(EndpointName=endpoint)


timed("delete", delete_endpoint)
client.delete_endpoint_config(EndpointConfigName=endpoint)
client.delete_model(ModelName=NAME)
results["left"] = {
    "models": client.list_models(NameContains=NAME)["Models"],
    "configs": client.list_endpoint_configs(NameContains=NAME)["EndpointConfigs"],
    "endpoints": client.list_endpoints(NameContains=NAME)["Endpoints"],
}
(OUTPUT / "results.json").write_text(json.dumps(results, indent=2))
print("done")
