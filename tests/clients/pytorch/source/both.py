import json
import os

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
rank, size = dist.get_rank(), dist.get_world_size()
torch.manual_seed(rank)
model = DistributedDataParallel(nn.Linear(2, 1, bias=False))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
# Each host has one of the two features in its data: only together they learn both weights.
features = torch.eye(2)[[rank % 2]]
for _ in range(200):
    optimizer.zero_grad()
    nn.functional.mse_loss(model(features), torch.tensor([[rank + 1.0]])).backward()
    optimizer.step()
weights = model.module.weight.detach().flatten().tolist()
print(f"rank {rank} of {size} on {os.environ['SM_CURRENT_HOST']}: {weights}")
if rank == 0:
    with open(os.path.join(os.environ["SM_MODEL_DIR"], "weights.json"), "w") as file:
        json.dump({"size": size, "weights": weights}, file)
dist.destroy_process_group()
