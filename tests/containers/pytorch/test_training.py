"""Scripts of PyTorch under `train`: what the image adds to script mode."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCRIPT = """
    import json, os
    import torch
    import torch.distributed as dist
    import torchvision

    dist.init_process_group("gloo", rank=0, world_size=1)
    found = {
        "threads": torch.get_num_threads(),
        "master": [os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]],
        "versions": [torch.__version__, torchvision.__version__],
        "cpus": int(os.environ["SM_NUM_CPUS"]),
        "product": (torch.ones(2, 3) @ torch.ones(3, 2)).tolist(),
        "pictures": list(torchvision.transforms.ToTensor()(torch.zeros(3, 4).numpy()).shape),
    }
    # Workers of a DataLoader share tensors through torch_shm_manager or descriptors.
    loader = torch.utils.data.DataLoader(range(4), batch_size=2, num_workers=1)
    found["batches"] = [batch.tolist() for batch in loader]
    with open(os.environ["SM_MODEL_DIR"] + "/found.json", "w") as file:
        json.dump(found, file)
"""


def test_a_script_has_pytorch_with_all_threads_and_the_address_of_the_first_host(
    pytorch: Any,
) -> None:
    pytorch.variables["SAGEMAKER_BASE_DIR"] = str(pytorch.base)
    pytorch.write(
        "input/config/resourceconfig.json",
        '{"current_host": "localhost", "hosts": ["localhost"], "network_interface_name": "lo"}',
    )

    exit_code = pytorch.train(SCRIPT)

    assert exit_code == 0, pytorch.log
    found = json.loads((pytorch.base / "model/found.json").read_text())
    assert found["threads"] == found["cpus"]
    assert found["master"] == ["localhost", "7777"]
    assert found["versions"][0].startswith("1.13.1")
    assert found["product"] == [[3.0, 3.0], [3.0, 3.0]]
    assert found["pictures"] == [1, 3, 4]
    assert found["batches"] == [[0, 1], [2, 3]]
