"""A dense layer on a CSV with the label first."""

import os
from pathlib import Path

import mxnet as mx
import numpy as np

(data,) = Path(os.environ["SM_CHANNEL_TRAIN"]).glob("*.csv")
rows = np.loadtxt(data, delimiter=",", dtype="float32")
features, labels = mx.nd.array(rows[:, 1:]), mx.nd.array(rows[:, :1])
net = mx.gluon.nn.Dense(1)
net.initialize()
net.hybridize()
trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
loss = mx.gluon.loss.L2Loss()
for epoch in range(5):
    with mx.autograd.record():
        error = loss(net(features), labels)
    error.backward()
    trainer.step(len(rows))
    print(f"epoch {epoch}: loss={error.mean().asscalar():.4f};")
net.export(str(Path(os.environ["SM_MODEL_DIR"]) / "model"))
