"""A linear layer on a CSV with the label first."""

import os
from pathlib import Path

import numpy as np
import torch

(data,) = Path(os.environ["SM_CHANNEL_TRAIN"]).glob("*.csv")
rows = torch.from_numpy(np.loadtxt(data, delimiter=",", dtype="float32"))
features, labels = rows[:, 1:], rows[:, :1]
model = torch.nn.Linear(features.shape[1], 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(5):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(features), labels)
    loss.backward()
    optimizer.step()
    print(f"epoch {epoch}: loss={loss.item():.4f};")
torch.jit.script(model).save(Path(os.environ["SM_MODEL_DIR"]) / "model.pt")
