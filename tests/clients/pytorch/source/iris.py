import argparse
import csv
import glob
import os

import torch
from network import make
from torch import nn


def read(folder):
    rows = []
    for name in sorted(glob.glob(os.path.join(folder, "*.csv"))):
        with open(name) as file:
            rows += [[float(cell) for cell in row] for row in csv.reader(file)]
    table = torch.tensor(rows)
    return table[:, 1:], table[:, 0].long()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
    parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
    parser.add_argument("--num-gpus", type=int, default=os.environ["SM_NUM_GPUS"])
    arguments = parser.parse_args()

    torch.manual_seed(0)
    device = "cuda" if arguments.num_gpus else "cpu"
    features, labels = read(arguments.train)
    model = make().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.lr)
    for epoch in range(arguments.epochs):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(features.to(device)), labels.to(device))
        loss.backward()
        optimizer.step()
        print(f"epoch={epoch} loss={loss.item():.4f};")
    accuracy = (model(features.to(device)).argmax(1).cpu() == labels).float().mean().item()
    print(f"accuracy={accuracy:.3f}; on {torch.get_num_threads()} threads")
    model = model.cpu().eval()
    torch.save(model.state_dict(), os.path.join(arguments.model_dir, "weights.pth"))
    torch.jit.script(model).save(os.path.join(arguments.model_dir, "model.pt"))
