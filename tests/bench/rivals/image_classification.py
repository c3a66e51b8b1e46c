"""Image Classification's rival: the residual network of mxnet's own zoo, and its own reader."""

import os

# mxnet reads it when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))

import mxnet as mx
import numpy as np
from common import run
from mxnet import autograd, gluon
from mxnet.gluon.model_zoo import vision


def network(classes):
    net = vision.resnet18_v2(classes=classes)
    net.initialize(mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2))
    net.hybridize()
    return net


def train(folder, parameters):
    mx.random.seed(0)
    batch = int(parameters["mini_batch_size"])
    shape = tuple(map(int, parameters["image_shape"].split(",")))
    shared = {"data_shape": shape, "batch_size": batch, "preprocess_threads": os.cpu_count()}
    learned = mx.io.ImageRecordIter(
        path_imgrec=f"{folder}/train.rec", path_imgidx=f"{folder}/train.idx", shuffle=True, **shared
    )
    measured = mx.io.ImageRecordIter(path_imgrec=f"{folder}/validation.rec", **shared)
    net = network(int(parameters["num_classes"]))
    rate = float(parameters["learning_rate"])
    settings = {"learning_rate": rate, "momentum": 0.9, "wd": 1e-4}
    trainer = gluon.Trainer(net.collect_params(), "sgd", settings, kvstore=None)
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    for epoch in range(int(parameters["epochs"])):
        accuracy = mx.metric.Accuracy()
        for each in learned:
            with autograd.record():
                scores = net(each.data[0].as_in_context(mx.cpu()))
                value = loss(scores, each.label[0])
            value.backward()
            trainer.step(batch)
            accuracy.update(each.label, [scores])
        said = [accuracy.get()[1]]
        accuracy.reset()
        for each in measured:
            accuracy.update(each.label, [net(each.data[0].as_in_context(mx.cpu()))])
        print(epoch, *said, accuracy.get()[1])
        learned.reset()
        measured.reset()
    return net


def predict(net, files):
    pictures = [mx.image.imdecode(file).transpose((2, 0, 1)).expand_dims(0) for file in files]
    scores = net(mx.nd.concat(*pictures, dim=0).astype(np.float32))
    return mx.nd.softmax(scores).asnumpy()


def save(net, path):
    net.export(str(path))


def load(path):
    net = gluon.SymbolBlock.imports(f"{path}-symbol.json", ["data"], f"{path}-0000.params")
    net.hybridize()
    return net


def files(folder, name):
    return [(folder / "request-1").read_bytes()]


run(train, predict, save, load, read=files, decode=lambda body: [body])
