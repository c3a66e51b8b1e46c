"""BlazingText as its notebooks use it: nothing in it knows of sagelocal.

    python notebook.py classify|manifest|embed INSTANCES

Prints what it saw as the last line, in JSON.
"""

import io
import json
import random
import sys
import tarfile
import uuid

import boto3
import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.s3 import S3Uploader
from sagemaker.serializers import JSONSerializer

what, instances = sys.argv[1], int(sys.argv[2])
session = sagemaker.Session()
bucket, prefix = session.default_bucket(), f"blazingtext-{uuid.uuid4().hex}"
image = sagemaker.image_uris.retrieve("blazingtext", session.boto_region_name)
random.seed(0)


def sentence(topic):
    words = [f"{topic}{random.randrange(20)}" for _ in range(5)]
    words += [f"word{random.randrange(50)}" for _ in range(5)]
    random.shuffle(words)
    return " ".join(words)


def upload(name, text):
    return S3Uploader.upload_string_as_file_body(text, f"s3://{bucket}/{prefix}/{name}")


def trained(channels, **hyperparameters):
    estimator = Estimator(
        image,
        sagemaker.get_execution_role(),
        instance_count=instances,
        instance_type="ml.c5.xlarge",
        output_path=f"s3://{bucket}/{prefix}/output",
        sagemaker_session=session,
        hyperparameters=hyperparameters,
    )
    estimator.fit(channels, logs="Training")
    job = session.sagemaker_client.describe_training_job(
        TrainingJobName=estimator.latest_training_job.name
    )
    metrics = {m["MetricName"]: m["Value"] for m in job.get("FinalMetricDataList", [])}
    return estimator, metrics


def deployed(estimator):
    return estimator.deploy(
        1, "ml.m5.large", serializer=JSONSerializer(), deserializer=JSONDeserializer()
    )


def archive_of(estimator):
    key = estimator.model_data.split("/", 3)[3]
    body = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}


def classify():
    def lines(count):
        topics = [random.choice(["sports", "politics"]) for _ in range(count)]
        return "".join(f"__label__{topic} {sentence(topic)}\n" for topic in topics)

    channels = {
        "train": TrainingInput(upload("train/a.train", lines(500)), content_type="text/plain"),
        "validation": TrainingInput(upload("validation/a.validation", lines(200))),
    }
    estimator, metrics = trained(
        channels,
        mode="supervised",
        epochs=10,
        min_count=2,
        learning_rate=0.3,
        vector_dim=10,
        buckets=5000,
        early_stopping=True,
        patience=4,
        min_epochs=3,
        word_ngrams=2,
    )
    predictor = deployed(estimator)
    payload = {"instances": [sentence("sports"), sentence("politics")], "configuration": {"k": 2}}
    answer = predictor.predict(payload)
    lines = session.sagemaker_runtime_client.invoke_endpoint(
        EndpointName=predictor.endpoint_name,
        ContentType="application/jsonlines",
        Body=json.dumps({"source": sentence("politics"), "k": 1}).encode(),
    )["Body"].read()
    predictor.delete_model()
    predictor.delete_endpoint()
    return {
        "metrics": metrics,
        "files": sorted(archive_of(estimator)),
        "answer": answer,
        "lines": lines.decode(),
    }


def manifest():
    topics = [random.choice([1, 2]) for _ in range(400)]
    lines = [{"source": sentence(f"t{topic}"), "label": topic} for topic in topics]
    uri = upload("train.manifest", "".join(json.dumps(line) + "\n" for line in lines))
    channel = TrainingInput(
        uri,
        input_mode="Pipe",
        s3_data_type="AugmentedManifestFile",
        attribute_names=["source", "label"],
        content_type="application/x-recordio",
        record_wrapping="RecordIO",
    )
    _, metrics = trained(
        {"train": channel},
        mode="supervised",
        epochs=10,
        vector_dim=10,
        buckets=1000,
        learning_rate=0.3,
    )
    return {"metrics": metrics}


def embed():
    text = "".join(sentence(random.choice("abc")) + "\n" for _ in range(3000))
    # Ties: which of two pairs of one topic is the nearer is chance.
    judgements = "a1 a2 9\nb1 b2 9\na1 b1 1\nc1 b1 1\n"
    channels = {
        "train": TrainingInput(upload("train/text", text), content_type="text/plain"),
        "evaluation": TrainingInput(upload("evaluation/pairs.txt", judgements)),
    }
    estimator, metrics = trained(
        channels,
        mode="batch_skipgram",
        epochs=5,
        min_count=5,
        sampling_threshold=0.01,
        vector_dim=20,
        batch_size=11,
        evaluation=True,
    )
    files = archive_of(estimator)
    first, *rows = files["vectors.txt"].decode().splitlines()
    vectors = {row.split()[0]: [float(n) for n in row.split()[1:]] for row in rows}
    predictor = deployed(estimator)
    answer = predictor.predict({"instances": ["a1", "nobody"]})
    predictor.delete_model()
    predictor.delete_endpoint()
    return {
        "metrics": metrics,
        "files": sorted(files),
        "first": first,
        "words": [entry["word"] for entry in answer],
        "same": max(abs(a - b) for a, b in zip(answer[0]["vector"], vectors["a1"], strict=True)),
        "unknown": set(answer[1]["vector"]) == {0.0},
        "evaluation": json.loads(files["eval.json"]),
    }


print("\n" + json.dumps({"classify": classify, "manifest": manifest, "embed": embed}[what]()))
