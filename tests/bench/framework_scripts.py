"""What each framework's image is measured with: a script that trains, a model, and its bare call.

`training` is a script whose loop goes over `turns()`, which is there already: a pass a turn, of
less than a second. `model` leaves in `folder` what the image serves without a script.
`call` defines a function `call()` on that folder: what a request comes to, on data that is there.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Framework:
    """A framework's image, and one request: `row`, of the type `content_type`."""

    family: str
    title: str
    training: str
    model: str
    call: str
    row: bytes
    content_type: str = "application/json"


SCIKIT_LEARN = Framework(
    "scikit-learn",
    "scikit-learn",
    """
from sklearn.datasets import make_regression
from sklearn.ensemble import RandomForestRegressor
rows, targets = make_regression(4000, 20, random_state=0)
for _ in turns():
    RandomForestRegressor(5, random_state=0).fit(rows, targets)
""",
    """
import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
rows, species = load_iris(return_X_y=True)
joblib.dump(LogisticRegression(max_iter=1000).fit(rows, species), folder + "/model.joblib")
""",
    """
import joblib
import numpy as np
model, row = joblib.load(folder + "/model.joblib"), np.array([[5.1, 3.5, 1.4, 0.2]])
def call():
    return model.predict(row)
""",
    b"5.1,3.5,1.4,0.2\n",
    "text/csv",
)

PYTORCH = Framework(
    "pytorch",
    "PyTorch",
    """
import torch
from torch import nn
torch.manual_seed(0)
rows, targets = torch.randn(512, 64), torch.randn(512, 1)
model = nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 1))
optimizer = torch.optim.Adam(model.parameters())
for _ in turns():
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(rows), targets).backward()
        optimizer.step()
""",
    """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
torch.jit.script(model).save(folder + "/model.pt")
""",
    """
import torch
torch.set_num_threads(1)
model = torch.jit.load(folder + "/model.pt").eval()
row = torch.tensor([[5.1, 3.5, 1.4, 0.2]])
def call():
    with torch.no_grad():
        return model(row)
""",
    b"[[5.1,3.5,1.4,0.2]]",
)

TENSORFLOW = Framework(
    "tensorflow",
    "TensorFlow",
    """
import numpy as np
import tensorflow as tf
tf.keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(4096, 64)).astype("float32")
network = tf.keras.Sequential(
    [tf.keras.Input((64,)), tf.keras.layers.Dense(256, "relu"), tf.keras.layers.Dense(1)]
)
network.compile("adam", "mse")
network.fit(x, x.sum(1), verbose=0)
for _ in turns():
    network.fit(x, x.sum(1), verbose=0)
""",
    """
import tensorflow as tf
class Half(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def __call__(self, x):
        return {"y": x / 2 + 2}
half = Half()
tf.saved_model.save(half, folder + "/1", signatures=half.__call__)
""",
    """
import tensorflow as tf
signature = tf.saved_model.load(folder + "/1").signatures["serving_default"]
x = tf.constant([1.0, 2.0, 5.0])
def call():
    return signature(x=x)["y"].numpy()
""",
    b'{"instances":[1.0,2.0,5.0]}',
)

MXNET = Framework(
    "mxnet",
    "MXNet",
    """
import mxnet as mx
mx.random.seed(0)
rows, targets = mx.nd.random.normal(shape=(512, 64)), mx.nd.random.normal(shape=(512, 1))
net = mx.gluon.nn.HybridSequential()
net.add(mx.gluon.nn.Dense(512, activation="relu"), mx.gluon.nn.Dense(1))
net.initialize()
net.hybridize()
trainer, loss = mx.gluon.Trainer(net.collect_params(), "adam"), mx.gluon.loss.L2Loss()
for _ in turns():
    for _ in range(150):
        with mx.autograd.record():
            error = loss(net(rows), targets)
        error.backward()
        trainer.step(512)
    mx.nd.waitall()
""",
    """
import mxnet as mx
net = mx.gluon.nn.HybridSequential()
net.add(mx.gluon.nn.Dense(16, activation="relu"), mx.gluon.nn.Dense(3))
net.initialize()
net.hybridize()
net(mx.nd.zeros((1, 4)))
net.export(folder + "/model")
""",
    """
import mxnet as mx
symbol, parameters = folder + "/model-symbol.json", folder + "/model-0000.params"
net = mx.gluon.SymbolBlock.imports(symbol, ["data"], parameters)
row = mx.nd.array([[5.1, 3.5, 1.4, 0.2]])
def call():
    return net(row).asnumpy()
""",
    b"[[5.1,3.5,1.4,0.2]]",
)

XGBOOST = Framework(
    "xgboost",
    "XGBoost",
    """
import numpy as np
import xgboost
random = np.random.default_rng(0)
rows = random.normal(size=(20000, 20))
matrix = xgboost.DMatrix(rows, rows[:, :5].sum(axis=1) > 0)
for _ in turns():
    xgboost.train({"objective": "binary:logistic"}, matrix, 50)
""",
    """
import numpy as np
import xgboost
rows = np.random.default_rng(0).normal(size=(500, 4))
matrix = xgboost.DMatrix(rows, rows.sum(axis=1) > 0)
xgboost.train({"objective": "binary:logistic"}, matrix, 20).save_model(folder + "/model.ubj")
""",
    """
import numpy as np
import xgboost
booster, row = xgboost.Booster(model_file=folder + "/model.ubj"), np.float32([[5.1, 3.5, 1.4, 0.2]])
def call():
    return booster.inplace_predict(row)
""",
    b"5.1,3.5,1.4,0.2\n",
    "text/csv",
)

HUGGING_FACE = Framework(
    "hugging-face",
    "Hugging Face",
    """
import torch
from transformers import BertConfig, BertForSequenceClassification
torch.manual_seed(0)
sizes = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 256}
model = BertForSequenceClassification(BertConfig(num_hidden_layers=2, vocab_size=500, **sizes))
words, labels = torch.randint(0, 500, (16, 32)), torch.randint(0, 2, (16,))
optimizer = torch.optim.Adam(model.parameters())
for _ in turns():
    for _ in range(10):
        optimizer.zero_grad()
        model(words, labels=labels).loss.backward()
        optimizer.step()
""",
    """
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film"]
open(folder + "/vocab.txt", "w").write("\\n".join(words))
BertTokenizerFast(folder + "/vocab.txt").save_pretrained(folder)
sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
config = BertConfig(num_hidden_layers=1, vocab_size=len(words), **sizes)
BertForSequenceClassification(config).save_pretrained(folder)
""",
    """
import torch
from transformers import pipeline
torch.set_num_threads(1)
classify = pipeline("text-classification", folder)
def call():
    return classify("a good film")
""",
    b'{"inputs":"a good film"}',
)

FRAMEWORKS = (SCIKIT_LEARN, PYTORCH, HUGGING_FACE, TENSORFLOW, MXNET, XGBOOST)
