"""Serving in the MXNet image: real models, the real server, HTTP."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

# y = 2 a + 3 b + 1, saved in both of MXNet's layouts.
SAVE_MODULE = """
import json, sys
import mxnet as mx
folder, batch_size = sys.argv[1], int(sys.argv[2])
network = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=1, name="fc")
module = mx.mod.Module(network, label_names=None)
module.bind(data_shapes=[("data", (batch_size, 2))], for_training=False)
module.set_params({"fc_weight": mx.nd.array([[2, 3]]), "fc_bias": mx.nd.array([1])}, {})
module.save_checkpoint(folder + "/model", 0)
json.dump(
    [{"name": "data", "shape": [batch_size, 2]}], open(folder + "/model-shapes.json", "w")
)
"""
SAVE_BLOCK = """
import sys
import mxnet as mx
network = mx.gluon.nn.HybridSequential()
network.add(mx.gluon.nn.Dense(1))
network.initialize()
network.hybridize()
network(mx.nd.zeros((1, 2)))
network[0].weight.set_data(mx.nd.array([[2, 3]]))
network[0].bias.set_data(mx.nd.array([1]))
network.export(sys.argv[1] + "/model")
"""


@pytest.fixture
def save(image: Any) -> Callable[..., None]:
    """Save a model into the container's model folder."""

    def run(program: str, *arguments: object) -> None:
        folder = image.base / "model"
        subprocess.run(
            [image.python, "-c", program, folder, *map(str, arguments)],
            env=image.environment(),
            check=True,
        )

    return run


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_module_checkpoint_is_served_without_a_script(
    save: Callable[..., None], serve: Callable[[], Any], batch_size: int
) -> None:
    save(SAVE_MODULE, batch_size)
    endpoint = serve()

    assert endpoint.invoke("[[1, 1], [0, 2], [0.5, 0]]", "application/json") == (
        200,
        "[[6.0], [7.0], [2.0]]",
    )
    assert endpoint.invoke("1,1\n0,2\n", "text/csv", "text/csv") == (200, "6.0\n7.0\n")
    assert endpoint.invoke("1,1", "text/csv") == (200, "[[6.0]]")


def test_an_exported_gluon_block_is_served_without_a_script(
    save: Callable[..., None], serve: Callable[[], Any]
) -> None:
    save(SAVE_BLOCK)

    status, body = serve().invoke("[[1, 1], [0, 2]]", "application/json")

    assert (status, json.loads(body)) == (200, [[6.0], [7.0]])


def test_a_script_replaces_what_it_defines(
    image: Any, save: Callable[..., None], serve: Callable[[], Any]
) -> None:
    save(SAVE_BLOCK)
    image.write(
        "model/code/inference.py",
        "import json\n"
        "def output_fn(prediction, accept):\n"
        "    return json.dumps({'salary': prediction.tolist()}), 'application/json'\n",
    )

    assert serve().invoke("[[1, 1]]", "application/json") == (200, '{"salary": [[6.0]]}')


def test_a_scripts_own_model_goes_through_the_defaults(
    image: Any, serve: Callable[[], Any]
) -> None:
    image.write(
        "model/code/inference.py", "def model_fn(model_dir):\n    return lambda data: data * 2\n"
    )

    assert serve().invoke("[[1, 2]]", "application/json") == (200, "[[2.0, 4.0]]")


def test_rows_of_the_wrong_width_are_refused_with_both_widths(
    save: Callable[..., None], serve: Callable[[], Any]
) -> None:
    save(SAVE_MODULE, 1)

    status, body = serve().invoke("1,2,3", "text/csv")

    assert status == 400
    assert "holds 3 values" in json.loads(body)["message"]
    assert "the model takes 2 for each example" in json.loads(body)["message"]


def test_text_is_refused_as_data(save: Callable[..., None], serve: Callable[[], Any]) -> None:
    save(SAVE_MODULE, 1)

    status, _ = serve().invoke('[["a", "b"]]', "application/json")

    assert status == 400


def test_a_model_that_is_not_there_names_what_is(image: Any, serve: Callable[[], Any]) -> None:
    image.write("model/weights.bin", "")

    status, body = serve().get("/ping")

    assert status == 500
    said = json.loads(body)["message"] + image.log
    assert "no model-symbol.json and no model-0000.params" in said
    assert "holds: weights.bin" in said


def test_the_first_dimension_may_be_set_from_outside(
    image: Any, save: Callable[..., None], serve: Callable[[], Any]
) -> None:
    save(SAVE_MODULE, 1)
    image.variables["SAGEMAKER_DEFAULT_MODEL_FIRST_DIMENSION_SIZE"] = "3"

    status, body = serve().invoke("[[1, 1], [0, 2], [0, 0], [1, 0]]", "application/json")

    assert (status, json.loads(body)) == (200, [[6.0], [7.0], [1.0], [3.0]])
