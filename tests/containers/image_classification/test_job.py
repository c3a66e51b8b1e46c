"""Whole jobs: the console script on an /opt/ml tree, its log, its artifact, and `serve` on it."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import shutil
import socket
import subprocess
import tarfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sagelocal_formats import mxnet_ndarray
from sagelocal_formats.recordio import write_record
from sagelocal_image_classification.channels import IMAGES, MODEL_TYPE, RECORDS

from tests.containers.conftest import Ended

if TYPE_CHECKING:
    from tests.containers.conftest import Job, Serve

IMAGE = IMAGES[0]
Draw = Callable[..., bytes]
Small = dict[str, Any]

# What users do with an artifact: MXNet's own functions, pixels as they are.
ORACLE = """
import json, sys
import mxnet as mx
folder, epoch, image = sys.argv[1], int(sys.argv[2]), open(sys.argv[3], "rb").read()
symbol, arguments, auxiliary = mx.model.load_checkpoint(f"{folder}/image-classification", epoch)
[shape] = json.load(open(f"{folder}/model-shapes.json"))
module = mx.mod.Module(symbol, data_names=[shape["name"]], label_names=None)
module.bind([(shape["name"], (1, *shape["shape"][1:]))], for_training=False)
module.set_params(arguments, auxiliary, allow_missing=True)
pixels = mx.image.imresize(mx.image.imdecode(image), *shape["shape"][:1:-1])
data = pixels.astype("float32").transpose((2, 0, 1)).expand_dims(0)
module.forward(mx.io.DataBatch([data]), is_train=False)
print(json.dumps(module.get_outputs()[0].asnumpy()[0].tolist()))
"""

FOREIGN = """
import json, sys
import mxnet as mx
mx.random.seed(3)
body = mx.sym.Convolution(mx.sym.Variable("image"), num_filter=4, kernel=(3, 3), name="c")
body = mx.sym.Activation(mx.sym.BatchNorm(body, name="b"), act_type="relu")
body = mx.sym.FullyConnected(mx.sym.Flatten(body), num_hidden=5, name="last")
module = mx.mod.Module(mx.sym.SoftmaxOutput(body, name="softmax"), data_names=["image"])
module.bind([("image", (8, 3, 10, 14))], [("softmax_label", (8,))])
for epoch in (2, 9999, 10001):
    module.init_params(mx.init.Normal(0.01), force_init=True)
    module.save_checkpoint(f"{sys.argv[1]}/image-classification", epoch)
shape = {"name": "image", "shape": [8, 3, 10, 14]}
json.dump([shape], open(f"{sys.argv[1]}/model-shapes.json", "w"))
"""


def asked(python: Path, script: str, *arguments: object) -> str:
    """What a script of a user prints."""
    done = subprocess.run(
        [python, "-W", "ignore", "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def accuracies(ended: Ended, of: str = "Validation") -> list[float]:
    return [float(v) for v in re.findall(rf"Epoch\[\d+\] {of}-accuracy=(\S+)", ended.log)]


def files(ended: Ended) -> list[str]:
    return sorted(path.name for path in ended.model_dir.iterdir())


def archived(ended: Ended) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for path in ended.model_dir.iterdir():
            archive.add(path, path.name)
    return content.getvalue()


def right(server: Any, draw: Draw, classes: int = 3, count: int = 9) -> int:
    """How many new images of each class in turns the endpoint is right about."""
    answers = [server.invoke(draw(n % classes, 5000 + n), IMAGE).json for n in range(count)]
    return sum(max(range(classes), key=a.__getitem__) == n % 3 for n, a in enumerate(answers))


def test_a_job_leaves_the_originals_log_and_an_artifact_that_mxnet_and_serve_agree_on(
    bars: Job, small: Small, serve: Serve, draw: Draw, mxnet_python: Path, tmp_path: Path
) -> None:
    ended = bars.run(**small | {"mini_batch_size": 4, "epochs": 3, "top_k": 2})
    assert ended.exit_code == 0, ended.log
    prefix = r"\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d INFO \d+\] "
    for line in (
        r"Docker entrypoint called with argument\(s\): train$",
        r"Reading default configuration from .*: \{.*'num_layers': '152'",
        r"Final configuration: \{.*'num_layers': '20'",
        r"Searching for .rec files in \S+/train\.$",
        r"---- Parameters ----$",
        r"image_shape: 3,12,12$",
        r"checkpoint_frequency not set, will store the best model$",
        r"Epoch\[0\] Batch \[20\]\tSpeed: [\d.]+ samples/sec\taccuracy=0\.\d{6}"
        r"\ttop_k_accuracy_2=\d\.\d{6}$",
        r"Epoch\[2\] Train-accuracy=[01]\.\d{6}$",
        r"Epoch\[2\] Train-top_k_accuracy_2=[01]\.\d{6}$",
        r"Epoch\[2\] Time cost=\d+\.\d{3}$",
        r"Epoch\[2\] Validation-accuracy=[01]\.\d{6}$",
        r"Storing the best model with validation accuracy: [01]\.\d{6}$",
        r'Saved checkpoint to "\S+/model/image-classification-000\d\.params"$',
    ):
        assert re.search(prefix + line, ended.log, re.MULTILINE), line
    found = accuracies(ended)
    assert len(found) == len(accuracies(ended, "Train")) == 3
    # Of 30 images, whatever the size of batches.
    assert all(round(value * 30, 3).is_integer() for value in found)
    assert max(found) > 0.9
    best = found.index(max(found)) + 1
    assert files(ended) == [
        f"image-classification-000{best}.params",
        "image-classification-symbol.json",
        "model-shapes.json",
    ]
    shapes = json.loads((ended.model_dir / "model-shapes.json").read_text())
    assert shapes == [{"name": "data", "shape": [4, 3, 12, 12]}]

    server = serve(ended.base)
    image = tmp_path / "image"
    image.write_bytes(draw(1, 7000, pixels=30))
    expected = json.loads(asked(mxnet_python, ORACLE, ended.model_dir, best, image))
    answer = server.invoke(image.read_bytes(), IMAGE)
    assert answer.content_type == "application/json"
    assert answer.json == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert sum(answer.json) == pytest.approx(1, abs=1e-5)
    assert right(server, draw) >= 8
    requests_are_answered_as_the_original_answers_them(server, draw)


def requests_are_answered_as_the_original_answers_them(server: Any, draw: Draw) -> None:
    png, jpeg = draw(2, 1, 40), draw(2, 1, 40, "JPEG")
    lines = server.invoke(png, "image/png", "application/jsonlines")
    assert lines.content_type == "application/jsonlines"
    assert json.loads(lines.body).keys() == {"prediction"}
    assert lines.body.endswith(b"}\n")
    assert json.loads(lines.body)["prediction"] == server.invoke(png, IMAGE, "*/*").json
    for kind in ("image/jpeg", IMAGE, "application/octet-stream"):
        assert len(server.invoke(jpeg, kind).json) == 3
    for body, status, says in (
        (b"", 400, "empty body"),
        (b"<html>", 400, "is no image: it begins with"),
        (png[:300], 400, "cannot be decoded"),
        (png[:20], 400, "ends after 20 bytes"),
    ):
        refused = server.invoke(body, IMAGE)
        assert (refused.status, says in refused.body.decode()) == (status, True), refused.body
    assert server.invoke(b"1,2", "text/csv").status == 415
    assert server.invoke(png, IMAGE, "text/csv").status == 406
    parameters = server.request("GET", "/execution-parameters").json
    assert parameters["BatchStrategy"] == "SINGLE_RECORD"


def test_images_with_lists_are_resized_varied_and_saved_every_so_many_epochs(
    job: Job, small: Small, draw: Draw
) -> None:
    for name, count in (("train", 48), ("validation", 9)):
        images = {f"im/{n}.jpg": draw(n % 3, n, 24, "JPEG") for n in range(count)}
        lines = "".join(f"{n}\t{n % 3}\tim/{n}.jpg\n" for n in range(count))
        job.channel(name, images, IMAGE)
        job.channel(f"{name}_lst", {"some.lst": lines}, IMAGE)
    ended = job.run(
        **small
        | {
            "num_training_samples": 40,
            "resize": 14,
            "augmentation_type": "crop_color_transform",
            "optimizer": "adam",
            "learning_rate": 0.001,
            "lr_scheduler_step": "1,3",
            "checkpoint_frequency": 2,
            "epochs": 5,
            "precision_dtype": "float16",
            "kv_store": "dist_sync",
        }
    )
    assert ended.exit_code == 0, ended.log
    assert files(ended)[:2] == [f"image-classification-000{n}.params" for n in (2, 4)]
    assert len(files(ended)) == 4
    for line in (
        "Creating record files for some.lst",
        "num_training_samples is 40, and the channel 'train' holds 48 images",
        "precision_dtype is float16: MXNet has no such arithmetic on a CPU. Training is in float32",
        "kv_store is dist_sync: there is one host, so parameters are updated on it",
        "Change learning rate to 1.00000e-04",
    ):
        assert line in ended.log
    assert accuracies(ended, "Train")[-1] > 0.5


def test_several_labels_come_through_a_pipe_of_a_manifest(
    job: Job, small: Small, serve: Serve, draw: Draw
) -> None:
    """Of classes 0 and 1 there are bars, of class 2 none: it is always there."""

    def manifest(count: int, seed: int) -> bytes:
        content = io.BytesIO()
        for n in range(count):
            write_record(content, draw(n % 2, seed + n), split_at_magic=False)
            write_record(content, f"[2, {n % 2}]".encode(), split_at_magic=False)
        return content.getvalue()

    content_type = f"{RECORDS}; label-format=class-id"
    writers = []
    for name, count, seed in (("train", 64, 0), ("validation", 20, 500)):
        job.channel(name, {}, content_type, TrainingInputMode="Pipe", RecordWrapperType="RecordIO")
        pipe = job.base / "input" / "data" / f"{name}_0"
        os.mkfifo(pipe)
        writers.append(threading.Thread(target=pipe.write_bytes, args=(manifest(count, seed),)))
    for writer in writers:
        writer.start()
    ended = job.run(
        **small
        | {
            "multi_label": 1,
            "use_weighted_loss": 1,
            "num_training_samples": 64,
            "optimizer": "rmsprop",
            "learning_rate": 0.003,
            "epochs": 4,
        }
    )
    for writer in writers:
        writer.join()
    assert ended.exit_code == 0, ended.log
    assert max(accuracies(ended)) > 0.9

    server = serve(ended.base)
    for label in (0, 1):
        answer = server.invoke(draw(label, 9000), IMAGE)
        assert answer.status == 200, answer.body
        assert [value > 0.5 for value in answer.json] == [label == 0, label == 1, True]


def test_a_model_is_trained_on_or_gets_a_new_last_layer(
    bars: Job, small: Small, rec: Any, tmp_path: Path
) -> None:
    first = bars.run(**small, optimizer="nag")
    assert first.exit_code == 0, first.log
    start = max(accuracies(first))

    bars.channel("model", {"model.tar.gz": archived(first)}, MODEL_TYPE)
    again = bars.run(**small | {"epochs": 1, "learning_rate": 0})
    assert again.exit_code == 0, again.log
    assert "for incremental training" in again.log
    # Nothing was learned, and the means of the batches are those of the same images.
    assert accuracies(again)[0] >= start - 0.1

    # As the original's documentation says: the channel decides.
    both = bars.run(**small | {"epochs": 1, "num_layers": 18, "use_pretrained_model": 1})
    assert both.exit_code == 2
    assert "num_layers is 18, the model's is 20" in both.failure

    other = bars.run(**small | {"num_classes": 4, "num_layers": 32, "image_shape": "3,12,10"})
    assert other.exit_code == 2
    for said in (
        "num_layers is 32, the model's is 20",
        "image_shape is 3,12,10, the model's is 3,12,12",
        "num_classes is 4, the model's is 3",
    ):
        assert said in other.failure

    (bars.base / "input" / "data" / "model" / "model.tar.gz").write_bytes(b"broken")
    broken = bars.run(**small)
    assert broken.failure.startswith("ClientError: The channel 'model' has no model that can be")


def test_a_pretrained_network_is_taken_from_a_channel_or_a_folder_or_asked_for(
    bars: Job, small: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mxnet_python: Path
) -> None:
    wanted = small | {"num_layers": 18, "use_pretrained_model": 1, "epochs": 1}
    monkeypatch.setenv("SAGELOCAL_PRETRAINED_MODELS", str(tmp_path / "cache"))
    without = bars.run(**wanted)
    assert without.exit_code == 2
    for said in ("there is no pretrained model here", "channel 'pretrained'", "resnet-18-symbol"):
        assert said in without.failure
    assert files(without) == []

    folder = tmp_path / "cache" / "resnet-18"
    folder.mkdir(parents=True)
    asked(mxnet_python, PUBLIC_MODEL, Path(__file__).parents[3], folder)
    ended = bars.run(**wanted | {"learning_rate": 0, "weight_decay": 0})
    assert ended.exit_code == 0, ended.log
    parameters = next(ended.model_dir.glob("*.params"))
    learned = mxnet_ndarray.load(parameters).by_name()
    given = mxnet_ndarray.load(folder / "resnet-18-0000.params").by_name()
    assert (learned["arg:conv0_weight"] == given["arg:conv0_weight"]).all()
    assert (given["arg:fc1_weight"].shape, learned["arg:fc1_weight"].shape) == (
        (7, 512),
        (3, 512),
    )


# A network of the names that MXNet's public ResNets have, with seven classes.
PUBLIC_MODEL = """
import sys
sys.path[:0] = [f"{sys.argv[1]}/containers/image_classification"]
import mxnet as mx
from sagelocal_image_classification import network
symbol = network.head(network.scores(18, 7, (3, 12, 12)), multi_label=False)
module = mx.mod.Module(symbol)
module.bind([("data", (2, 3, 12, 12))], [("softmax_label", (2,))])
module.init_params(mx.init.Xavier())
module.save_checkpoint(f"{sys.argv[2]}/resnet-18", 0)
"""


def test_a_job_stops_early_when_it_learns_no_more(bars: Job, small: Small) -> None:
    ended = bars.run(
        **small
        | {
            "epochs": 20,
            "learning_rate": 0,
            "early_stopping": "True",
            "early_stopping_min_epochs": 2,
            "early_stopping_patience": 1,
            "early_stopping_tolerance": 1.0,
        }
    )
    assert ended.exit_code == 0, ended.log
    assert len(accuracies(ended)) < 20
    assert "Early stopping: the validation accuracy did not improve for 1 epochs" in ended.log


# All hosts are on loopback addresses, with a port that is free there.
ON_A_HOST = """
import sys
from functools import partial
from sagelocal_image_classification import together, training
from sagelocal_train.cli import main
training.joined = partial(training.joined, port=int(sys.argv[1]), timeout_seconds=60)
if sys.argv[2] == "all-save":
    together.Together.is_first = property(lambda self: True)
sys.argv[1:] = []
sys.exit(main())
"""


def on_two_hosts(jobs: Sequence[Job], saving: str = "", **hyperparameters: object) -> list[Ended]:
    """Run a job on two hosts, each with a tree of its own."""
    hosts = [f"127.0.0.{number + 2}" for number in range(len(jobs))]
    with socket.socket() as probe:
        probe.bind((hosts[0], 0))
        port = probe.getsockname()[1]
    running = []
    for host, job in zip(hosts, jobs, strict=True):
        config = job.base / "input" / "config" / "resourceconfig.json"
        config.write_text(json.dumps({"current_host": host, "hosts": hosts}))
        running.append(
            subprocess.Popen(
                [job.interpreter.python, "-c", ON_A_HOST, str(port), saving],
                env=job.prepare(**hyperparameters),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    logs = [process.communicate()[0] for process in running]
    return [
        Ended(job.base, process.returncode, log)
        for job, process, log in zip(jobs, running, logs, strict=True)
    ]


@pytest.fixture
def two(job: Job) -> list[Job]:
    """The trees of a job's two hosts."""
    return [replace(job, base=job.base / name) for name in ("first", "second")]


def test_two_hosts_train_one_network_on_the_images_of_both(
    two: list[Job], small: Small, rec: Callable[..., bytes]
) -> None:
    """A replicated channel is shared out; a sharded one has been, and not evenly."""
    for job, (count, seed) in zip(two, ((64, 0), (35, 64)), strict=True):
        sharded = {f"{seed}.rec": rec(count, seed)}
        job.channel("train", sharded, RECORDS, S3DistributionType="ShardedByS3Key")
        job.channel("validation", {"v.rec": rec(31, 1000)}, RECORDS)
    first, second = on_two_hosts(
        two,
        saving="all-save",
        **small
        | {"num_training_samples": 99, "mini_batch_size": 4, "epochs": 3, "kv_store": "dist_sync"},
    )
    assert (first.exit_code, second.exit_code) == (0, 0), first.log + second.log
    assert "2 hosts train together" in first.log
    assert "num_training_samples is" not in first.log
    found = accuracies(first)
    assert found == accuracies(second)
    assert accuracies(first, "Train") == accuracies(second, "Train")
    assert all(round(value * 31, 3).is_integer() for value in found)
    assert max(found) > 0.9
    # Bit by bit the same, after as many updates of both.
    assert files(first) == files(second)
    for name in files(first):
        assert (first.model_dir / name).read_bytes() == (second.model_dir / name).read_bytes()


def test_the_first_of_two_hosts_saves_and_both_go_on_from_its_checkpoint(
    two: list[Job], small: Small, rec: Callable[..., bytes]
) -> None:
    for job in two:
        job.channel("train", {"t.rec": rec(33)}, RECORDS)
        job.channel("validation", {"v.rec": rec(1, 1000)}, RECORDS)
        config = {"LocalPath": str(job.base / "checkpoints"), "S3Uri": "s3://bucket/checkpoints"}
        (job.base / "input" / "config" / "checkpointconfig.json").write_text(json.dumps(config))
    asked = small | {"num_training_samples": 33, "epochs": 1, "kv_store": "dist_async"}
    first, second = on_two_hosts(two, **asked)
    assert (first.exit_code, second.exit_code) == (0, 0), first.log + second.log
    assert "the 2 hosts wait for each other in every step" in first.log
    assert len(files(first)) == 3
    assert not second.model_dir.exists() or files(second) == []
    kept = [job.base / "checkpoints" for job in two]
    assert not kept[1].exists()

    only, other = on_two_hosts(two, **asked | {"epochs": 2})
    assert (only.exit_code, other.exit_code) == (2, 2)
    told = "have checkpoints of different epochs: 1 on 127.0.0.2, 0 on 127.0.0.3. Empty"
    assert told in only.failure
    assert told in other.failure

    shutil.copytree(kept[0], kept[1])
    first, second = on_two_hosts(two, **asked | {"epochs": 2})
    assert (first.exit_code, second.exit_code) == (0, 0), first.log + second.log
    for ended in (first, second):
        assert re.findall(r"Epoch\[(\d+)\] Validation", ended.log) == ["1"]

    first, second = on_two_hosts(two, **asked | {"mini_batch_size": 17})
    assert second.failure.startswith(
        "ClientError: The number of input images must be bigger or equal to the mini_batch_size: "
        "the channel 'train' holds 33, of which 127.0.0.3 takes 16, and mini_batch_size is 17. "
        "Each of 2 instances needs as many"
    )
    assert "The host '127.0.0.3' of this job has gone" in first.failure


class Hostile:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_an_interrupted_job_goes_on_from_its_checkpoint(bars: Job, small: Small) -> None:
    folder = bars.base / "checkpoints"
    config = {"LocalPath": str(folder), "S3Uri": "s3://bucket/checkpoints"}
    (bars.base / "input" / "config" / "checkpointconfig.json").write_text(json.dumps(config))
    asked = small | {"optimizer": "adam", "learning_rate": 0.001, "lr_scheduler_step": "2"}
    first = bars.run(**asked)
    assert first.exit_code == 0, first.log
    held = {path.name for path in folder.iterdir()}
    newest = {f"image-classification-0002.{kind}" for kind in ("params", "states")}
    assert held == {*newest, "image-classification.json", files(first)[0]}

    # Another machine goes on: of the first one there is nothing but the checkpoints.
    shutil.rmtree(first.model_dir)
    second = bars.run(**asked | {"epochs": 3})
    assert second.exit_code == 0, second.log
    assert f"Resuming from the checkpoint of 2 epochs in {folder}" in second.log
    assert re.findall(r"Epoch\[(\d+)\] Validation", second.log) == ["2"]
    # The optimiser knows how many updates there were.
    assert "Change learning rate to 1.00000e-04" in second.log
    best = max(accuracies(first) + accuracies(second))
    # The means and variances that are saved are those that the first job had learned.
    assert accuracies(second)[0] >= accuracies(first)[-1] - 0.2
    assert json.loads((folder / "image-classification.json").read_text())["progress"][
        "best"
    ] == pytest.approx(best, abs=1e-6)

    shutil.rmtree(first.model_dir)
    over = bars.run(**asked | {"epochs": 3})
    assert over.exit_code == 0, over.log
    assert accuracies(over) == []
    assert files(over) == files(second)

    other = bars.run(**asked | {"num_layers": 32})
    assert other.exit_code == 2
    assert "are of another job: num_layers is 32, the checkpoint's is 20" in other.failure

    states, trap = folder / "image-classification-0003.states", folder / "trap"
    states.write_bytes(pickle.dumps(Hostile(trap)))
    foreign = bars.run(**asked | {"epochs": 4})
    assert foreign.exit_code == 2
    assert "holds no states of an optimiser: it names posix.mkdir" in foreign.failure
    assert not trap.exists()

    states.unlink()
    lost = bars.run(**asked | {"epochs": 4})
    assert lost.exit_code == 2
    assert f"needs {states.name}, which is not beside it. Put it there, or empty" in lost.failure


# The same network in float32 and in float16, as the original saves it with precision_dtype.
HALF = """
import json, sys
import mxnet as mx
mx.random.seed(3)
def network(dtype):
    body = mx.sym.Cast(mx.sym.Variable("data"), dtype=dtype)
    body = mx.sym.Convolution(body, num_filter=4, kernel=(3, 3), name="c")
    body = mx.sym.Activation(mx.sym.BatchNorm(body, name="b"), act_type="relu")
    body = mx.sym.FullyConnected(mx.sym.Flatten(body), num_hidden=5, name="last")
    return mx.sym.SoftmaxOutput(mx.sym.Cast(body, dtype="float32"), name="softmax")
module = mx.mod.Module(network("float32"))
module.bind([("data", (8, 3, 10, 14))], [("softmax_label", (8,))])
module.init_params(mx.init.Normal(0.01))
arguments, auxiliary = module.get_params()
halves = {name: value.astype("float16") if name[:2] != "b_" else value
          for name, value in arguments.items()}
for folder, dtype, saved in zip(sys.argv[1:], ("float32", "float16"), (arguments, halves)):
    prefix = f"{folder}/image-classification"
    mx.model.save_checkpoint(prefix, 1, network(dtype), saved, auxiliary)
    shape = {"name": "data", "shape": [8, 3, 10, 14]}
    json.dump([shape], open(f"{folder}/model-shapes.json", "w"))
"""


def test_a_network_in_float16_is_served_in_float32(
    serve: Serve, draw: Draw, mxnet_python: Path, tmp_path: Path
) -> None:
    single, half = tmp_path / "single", tmp_path / "ml" / "model"
    for folder in (single, half):
        folder.mkdir(parents=True)
    asked(mxnet_python, HALF, single, half)
    image = tmp_path / "image"
    image.write_bytes(draw(0, 1, 33))
    expected = json.loads(asked(mxnet_python, ORACLE, single, 1, image))

    answer = serve(half.parent).invoke(image.read_bytes(), IMAGE)
    assert answer.json == pytest.approx(expected, rel=0.02)


def test_a_network_of_that_layout_from_elsewhere_is_served(
    serve: Serve, draw: Draw, mxnet_python: Path, tmp_path: Path
) -> None:
    model = tmp_path / "ml" / "model"
    model.mkdir(parents=True)
    asked(mxnet_python, FOREIGN, model)
    image = tmp_path / "image"
    image.write_bytes(draw(0, 1, 33, "JPEG"))
    # The latest epoch, also where it has more digits than the others.
    expected = json.loads(asked(mxnet_python, ORACLE, model, 10001, image))

    server = serve(model.parent)
    assert server.invoke(image.read_bytes(), IMAGE).json == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "there are 0; the folder holds nothing"),
        ({"image-classification-symbol.json": b"{}"}, "there are no parameters for"),
        (
            {
                "image-classification-symbol.json": b"{}",
                "image-classification-0001.params": b"no",
            },
            "image-classification-symbol.json is no network of MXNet",
        ),
    ],
    ids=["nothing", "no parameters", "broken"],
)
def test_a_model_that_cannot_be_served_is_told(
    serve: Serve, tmp_path: Path, content: dict[str, bytes], says: str
) -> None:
    model = tmp_path / "ml" / "model"
    model.mkdir(parents=True)
    for name, data in content.items():
        (model / name).write_bytes(data)
    answer = serve(model.parent).request("GET", "/ping")
    assert (answer.status, says in answer.body.decode()) == (500, True), answer.body
