"""Makes the files beside it with the Python that has PyTorch, for tests without it."""

from __future__ import annotations

from pathlib import Path

import torch

HERE = Path(__file__).parent

torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
net[0].weight.data = torch.arange(6.0).reshape(2, 3)
state = {**net.state_dict(), "half": torch.ones(2, 2).to(torch.bfloat16)}
state["turned"] = torch.arange(6.0).reshape(2, 3).t()
torch.save(state, HERE / "state.pt")
torch.save(state, HERE / "old.pt", _use_new_zipfile_serialization=False)
torch.jit.script(net).save(str(HERE / "script.pt"))
