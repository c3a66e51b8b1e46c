import json
import os

import torch
from network import make

NAMES = ["setosa", "versicolor", "virginica"]


def model_fn(model_dir):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = make()
    with open(os.path.join(model_dir, "weights.pth"), "rb") as file:
        model.load_state_dict(torch.load(file, map_location=device))
    return model.to(device).eval()


def input_fn(request_body, request_content_type):
    assert request_content_type == "application/json"
    return torch.tensor(json.loads(request_body)["inputs"])


def output_fn(prediction, accept):
    return json.dumps([NAMES[each] for each in prediction.argmax(1).tolist()]), accept
