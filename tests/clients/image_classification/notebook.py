"""Image Classification as its notebooks use it: nothing in it knows of sagelocal.

    python notebook.py listed|records|piped

Prints what it saw as the last line, in JSON.
"""

import io
import json
import struct
import sys
import tarfile
import uuid
import zlib

import boto3
import numpy as np
import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.serializers import IdentitySerializer

what = sys.argv[1]
session = sagemaker.Session()
bucket, prefix = session.default_bucket(), f"images-{uuid.uuid4().hex}"
s3 = boto3.client("s3")
image = sagemaker.image_uris.retrieve("image-classification", session.boto_region_name)
random = np.random.default_rng(0)


def chunk(kind, content):
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(label):
    """A picture of 12 x 12 pixels with a bright bar, which stands where the class says."""
    pixels = random.integers(0, 80, (12, 12, 3), np.uint8)
    pixels[:, label * 4 : label * 4 + 4] += 150
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", 12, 12, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def put(name, content):
    s3.put_object(Bucket=bucket, Key=f"{prefix}/{name}", Body=content)
    return f"s3://{bucket}/{prefix}/{name}"


def record(number, label):
    payload = struct.pack("<IfQQ", 0, label, number, 0) + png(label)
    head = struct.pack("<II", 0xCED7230A, len(payload))
    return head + payload + bytes(-len(payload) % 4)


def rec(name, count):
    content = b"".join(record(n, n % 3) for n in range(count))
    return put(f"{name}/{name}.rec", content).rpartition("/")[0]


def listed(name, count):
    lines = []
    for n in range(count):
        put(f"{name}/class{n % 3}/{n}.png", png(n % 3))
        lines.append(f"{n}\t{n % 3}\tclass{n % 3}/{n}.png\n")
    put(f"{name}_lst/{name}.lst", "".join(lines).encode())
    return {
        name: TrainingInput(f"s3://{bucket}/{prefix}/{name}/", content_type="application/x-image"),
        f"{name}_lst": TrainingInput(
            f"s3://{bucket}/{prefix}/{name}_lst/", content_type="application/x-image"
        ),
    }


def trained(channels, mode="File", instances=1, **more):
    estimator = Estimator(
        image,
        sagemaker.get_execution_role(),
        instance_count=instances,
        instance_type="ml.p3.2xlarge",
        input_mode=mode,
        output_path=f"s3://{bucket}/{prefix}/output",
        sagemaker_session=session,
    )
    given = {
        "num_layers": 20,
        "image_shape": "3,12,12",
        "num_classes": 3,
        "num_training_samples": 60,
        "mini_batch_size": 4,
        "epochs": 4,
        "learning_rate": 0.05,
    }
    estimator.set_hyperparameters(**given | more)
    estimator.fit(channels, logs="Training")
    job = session.sagemaker_client.describe_training_job(
        TrainingJobName=estimator.latest_training_job.name
    )
    return estimator, {m["MetricName"]: m["Value"] for m in job.get("FinalMetricDataList", [])}


def files_of(estimator):
    key = estimator.model_data.split("/", 3)[3]
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        return sorted(m.name for m in archive if m.isfile())


def asked(estimator):
    """What the endpoint says of a new image of each class."""
    predictor = estimator.deploy(
        1,
        "ml.m5.large",
        serializer=IdentitySerializer("application/x-image"),
        deserializer=JSONDeserializer(),
    )
    answers = [predictor.predict(png(label)) for label in range(3)]
    lines = session.sagemaker_runtime_client.invoke_endpoint(
        EndpointName=predictor.endpoint_name,
        ContentType="image/png",
        Accept="application/jsonlines",
        Body=png(1),
    )["Body"].read()
    predictor.delete_model()
    predictor.delete_endpoint()
    return {"answers": answers, "lines": lines.decode()}


def of_lists():
    channels = listed("train", 60) | listed("validation", 15)
    estimator, metrics = trained(
        channels, instances=2, kv_store="dist_sync", resize=12, augmentation_type="crop"
    )
    return {"metrics": metrics, "files": files_of(estimator)}


def of_records():
    """Trains, goes on with the model in a second job, and deploys that."""
    channels = {
        name: TrainingInput(rec(name, count), content_type="application/x-recordio")
        for name, count in (("train", 60), ("validation", 15))
    }
    first, _ = trained(channels)
    model = TrainingInput(first.model_data, content_type="application/x-sagemaker-model")
    second, metrics = trained(channels | {"model": model}, epochs=1, learning_rate=0.01)
    return {"metrics": metrics, "files": files_of(second)} | asked(second)


def of_pipes():
    """A pipe of records to train on, one of an augmented manifest to measure."""
    lines = []
    for n in range(15):
        uri = put(f"pictures/{n}.png", png(n % 3))
        lines.append(json.dumps({"source-ref": uri, "class": n % 3}) + "\n")
    channels = {
        "train": TrainingInput(rec("train", 60), content_type="application/x-recordio"),
        "validation": TrainingInput(
            put("validation.manifest", "".join(lines).encode()),
            s3_data_type="AugmentedManifestFile",
            attribute_names=["source-ref", "class"],
            content_type="application/x-recordio",
            record_wrapping="RecordIO",
        ),
    }
    _, metrics = trained(channels, mode="Pipe")
    return {"metrics": metrics}


print("\n" + json.dumps({"listed": of_lists, "records": of_records, "piped": of_pipes}[what]()))
