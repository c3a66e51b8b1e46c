import argparse
import io
import os

import joblib
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from words import shout


def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "iris.joblib"))


def output_fn(prediction, accept):
    names = np.array(["setosa", "versicolor", "virginica"])[np.asarray(prediction, int)]
    if accept == "application/x-npy":
        stream = io.BytesIO()
        np.save(stream, names)
        return stream.getvalue(), accept
    return "\n".join(names), "text/csv"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--max-iter", type=int, default=10)
    parser.add_argument("--penalty-strength", type=float, default=1.0)
    parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
    parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
    parser.add_argument("--output-data-dir", default=os.environ["SM_OUTPUT_DATA_DIR"])
    arguments = parser.parse_args()

    files = [os.path.join(arguments.train, name) for name in os.listdir(arguments.train)]
    rows = pd.concat([pd.read_csv(file, header=None) for file in files])
    model = LogisticRegression(C=arguments.penalty_strength, max_iter=arguments.max_iter)
    model.fit(rows.iloc[:, 1:].to_numpy(), rows[0])
    accuracy = model.score(rows.iloc[:, 1:].to_numpy(), rows[0])
    print(shout(f"accuracy={accuracy:.3f};"))
    joblib.dump(model, os.path.join(arguments.model_dir, "iris.joblib"))
