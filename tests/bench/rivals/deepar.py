"""DeepAR's rival: the same LSTM written plainly in mxnet's Gluon, with as many steps of Adam.

It sees what DeepAR's and GluonTS's networks do: lagged values, the calendar, the age and size of a
series. It says mean and deviation, and forecasts by paths that it draws.
"""

import json

import mxnet as mx
import numpy as np
from common import run
from mxnet import autograd, gluon

AHEAD, CONTEXT, PATHS = 24, 24, 100
# As GluonTS takes them for hours: the last ones, and those about days and weeks ago.
DAYS = [24 * days + more for days in range(1, 8) for more in (-1, 0, 1)]
WEEKS = [168 * weeks + more for weeks in (2, 3) for more in (-1, 0, 1)]
LAGS = (*range(1, 8), *DAYS, *WEEKS)
# A day, a week, a month, a year.
PERIODS = (24, 168, 730, 8766)
STEPS_AN_EPOCH = 10


class Network(gluon.HybridBlock):
    def __init__(self, cells, layers, dropout):
        super().__init__()
        with self.name_scope():
            self.lstm = gluon.rnn.LSTM(
                cells, layers, dropout=dropout, input_size=len(LAGS) + 2 * len(PERIODS) + 2
            )
            self.output = gluon.nn.Dense(2, flatten=False, in_units=cells)

    def hybrid_forward(self, F, inputs, *states):
        cells, states = self.lstm(inputs, list(states))
        return (self.output(cells), *states)


def network(cells=40, layers=2, dropout=0.1):
    net = Network(cells, layers, dropout)
    net.initialize(mx.init.Xavier())
    net.hybridize()
    return net


def inputs(values, places, scale):
    """Steps x windows x inputs; values (windows x steps) are scaled, `places` are in them."""
    lagged = np.stack([np.take_along_axis(values, places - lag, 1) for lag in LAGS], axis=2)
    angles = 2 * np.pi * places
    others = [f(angles / period) for period in PERIODS for f in (np.sin, np.cos)]
    others += [np.log1p(places) / 10, np.broadcast_to(np.log(scale)[:, None] / 10, places.shape)]
    seen = np.concatenate([lagged, np.stack(others, axis=2)], axis=2)
    return np.ascontiguousarray(seen.swapaxes(0, 1), np.float32)


def train(folder, parameters):
    series = np.load(folder / "rows.npy").astype(np.float32)
    random = np.random.default_rng(0)
    mx.random.seed(0)
    net = network(*(int(parameters[name]) for name in ("num_cells", "num_layers")))
    settings = {"learning_rate": 1e-3, "clip_gradient": 10.0}
    trainer = gluon.Trainer(net.collect_params(), "adam", settings)
    size, window = int(parameters["mini_batch_size"]), CONTEXT + AHEAD
    for epoch in range(int(parameters["epochs"])):
        total = 0.0
        for _ in range(STEPS_AN_EPOCH):
            chosen = random.integers(0, len(series), size)
            begins = random.integers(max(LAGS), series.shape[1] - window, size)
            places = begins[:, None] + np.arange(window)
            scale = (
                np.abs(np.take_along_axis(series[chosen], places[:, :CONTEXT], 1)).mean(1) + 1e-3
            )
            values = series[chosen] / scale[:, None]
            target = mx.nd.array(np.take_along_axis(values, places, 1).T)
            seen = mx.nd.array(inputs(values, places, scale))
            with autograd.record():
                said = net(seen, *net.lstm.begin_state(size))[0]
                mean = said.slice_axis(axis=2, begin=0, end=1).squeeze(axis=2)
                raw = said.slice_axis(axis=2, begin=1, end=2).squeeze(axis=2)
                width = mx.nd.Activation(raw, "softrelu") + 1e-3
                loss = (width.log() + 0.5 * ((target - mean) / width).square()).mean()
            loss.backward()
            trainer.step(1)
            total += float(loss.asscalar())
        print(epoch, total / STEPS_AN_EPOCH)
    return net


def predict(net, series):
    """Each series' mean of the paths, the first hour's."""
    random = np.random.default_rng(0)
    series = np.asarray(series, np.float32)
    length = series.shape[1]
    scale = np.abs(series[:, -CONTEXT:]).mean(1) + 1e-3
    values = np.repeat(series / scale[:, None], PATHS, axis=0)
    sizes = np.repeat(scale, PATHS)
    places = np.tile(np.arange(length - CONTEXT, length), (len(values), 1))
    said, *states = net(
        mx.nd.array(inputs(values, places, sizes)), *net.lstm.begin_state(len(values))
    )
    for step in range(AHEAD):
        place = np.full((len(values), 1), length + step)
        seen = inputs(values, place, sizes)
        said, *states = net(mx.nd.array(seen), *states)
        raw = said.asnumpy()[0]
        drawn = raw[:, 0] + (np.log1p(np.exp(raw[:, 1])) + 1e-3) * random.standard_normal(len(raw))
        values = np.concatenate([values, drawn[:, None].astype(np.float32)], axis=1)
    paths = values[:, length:].reshape(len(series), PATHS, AHEAD) * scale[:, None, None]
    return paths.mean(axis=1)[:, 0]


def load(path):
    net = network()
    net.load_parameters(str(path))
    return net


def decode(body):
    return np.array([each["target"] for each in json.loads(body)["instances"]], np.float32)


run(train, predict, lambda net, path: net.save_parameters(str(path)), load, decode=decode)
