"""Scripts in the MXNet image: `train` as a process of a Python that has mxnet."""

from __future__ import annotations

import json
import os
import socket
import textwrap
from typing import Any

GLUON_SCRIPT = """
import argparse, os
import mxnet as mx
from mxnet import autograd, gluon

arguments = argparse.ArgumentParser()
arguments.add_argument("--epochs", type=int)
arguments.add_argument("--learning-rate", type=float)
arguments.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
arguments = arguments.parse_args()

rows = [line.split(",") for line in open(os.path.join(arguments.train, "train.csv"))]
y = mx.nd.array([float(row[0]) for row in rows]).reshape((-1, 1))
x = mx.nd.array([float(row[1]) for row in rows]).reshape((-1, 1))
network = gluon.nn.HybridSequential()
network.add(gluon.nn.Dense(1))
network.initialize()
network.hybridize()
trainer = gluon.Trainer(
    network.collect_params(), "sgd", {"learning_rate": arguments.learning_rate}
)
for epoch in range(arguments.epochs):
    with autograd.record():
        loss = gluon.loss.L2Loss()(network(x), y)
    loss.backward()
    trainer.step(len(rows))
print("loss", float(loss.mean().asscalar()))
network.export(os.path.join(os.environ["SM_MODEL_DIR"], "model"))
"""

MODULE_SCRIPT = """
import os
import mxnet as mx
from sagemaker_mxnet_container.training_utils import save, scheduler_host

data = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=1, no_bias=True, name="sum")
module = mx.mod.Module(mx.sym.LinearRegressionOutput(data, name="out"), label_names=["out_label"])
module.bind([("data", (2, 3))], [("out_label", (2, 1))])
module.init_params(mx.init.One())
save(os.environ["SM_MODEL_DIR"], module)
print("scheduler", scheduler_host(["algo-1", "algo-2"]))
save("/nowhere", module, "algo-2", ["algo-1", "algo-2"])
"""

THREADS_SCRIPT = "import os\nprint('threads', os.environ['OMP_NUM_THREADS'])"

DISTRIBUTED_SCRIPT = """
import mxnet as mx
store = mx.kv.create("dist_sync")
store.init("w", mx.nd.ones((2,)))
store.push("w", mx.nd.ones((2,)) * 4)
out = mx.nd.zeros((2,))
store.pull("w", out=out)
print("pulled", out.asnumpy().tolist(), "worker", store.rank, "of", store.num_workers)
"""


def _job(image: Any, script: str, **hyperparameters: object) -> None:
    encoded = {name: json.dumps(value) for name, value in hyperparameters.items()}
    encoded["sagemaker_program"] = '"train.py"'
    image.write("code/train.py", textwrap.dedent(script))
    image.write("input/config/hyperparameters.json", json.dumps(encoded))
    image.write("input/config/inputdataconfig.json", '{"train": {"TrainingInputMode": "File"}}')


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_gluon_script_learns_and_exports_its_model(image: Any) -> None:
    _job(image, GLUON_SCRIPT, **{"epochs": 200, "learning-rate": 0.5})
    image.write("input/data/train/train.csv", "".join(f"{3 * x + 1},{x}\n" for x in (0, 0.5, 1)))

    assert image.train() == 0, image.log

    loss = next(line for line in image.log.splitlines() if line.startswith("loss "))
    assert float(loss.split()[1]) < 0.01
    assert sorted(path.name for path in (image.base / "model").iterdir()) == [
        "model-0000.params",
        "model-symbol.json",
    ]


def test_a_script_gets_a_thread_for_every_processor(image: Any) -> None:
    _job(image, THREADS_SCRIPT)

    assert image.train() == 0, image.log

    assert f"threads {len(os.sched_getaffinity(0))}\n" in image.log


def test_the_users_number_of_threads_wins(image: Any) -> None:
    _job(image, THREADS_SCRIPT)
    image.variables["OMP_NUM_THREADS"] = "7"

    image.train()

    assert "threads 7\n" in image.log


def test_a_failing_script_leaves_its_reason(image: Any) -> None:
    _job(image, "import mxnet as mx\nmx.nd.ones((2, 3)) + mx.nd.ones((4, 5))")

    assert image.train() == 1

    failure = (image.base / "output/failure").read_text()
    assert failure.startswith("ExecuteUserScriptError:\nExitCode 1\n")
    assert "MXNetError" in failure[:1024]


def test_parameter_servers_run_beside_the_script_and_end_with_it(image: Any) -> None:
    _job(image, DISTRIBUTED_SCRIPT, sagemaker_parameter_server_enabled=True, _ps_port=_free_port())
    image.write(
        "input/config/resourceconfig.json",
        json.dumps({"current_host": "localhost", "hosts": ["localhost"]}),
    )

    assert image.train() == 0, image.log

    assert "pulled [4.0, 4.0] worker 0 of 1" in image.log
    assert "Started MXNet's scheduler as process" in image.log


def test_what_the_originals_helper_saves_is_served_without_a_script(image: Any, serve: Any) -> None:
    _job(image, MODULE_SCRIPT)
    (image.base / "input/data/train").mkdir(parents=True)

    code = image.train()

    assert code == 0, image.log
    assert "scheduler algo-1" in image.log
    saved = {"model-symbol.json", "model-0000.params", "model-shapes.json"}
    assert saved == {path.name for path in (image.base / "model").iterdir()}
    # In the archive of an endpoint there is no code of the training.
    (image.base / "code/train.py").unlink()
    answer = serve().invoke("[[1, 2, 4], [0, 0, 1], [1, 1, 1]]", "application/json")
    assert answer == (200, "[[7.0], [1.0], [3.0]]")
