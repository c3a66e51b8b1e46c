"""A user's script for ModelTrainer: adds up a channel, fails if it is told to."""

import json
import os
from pathlib import Path

parameters = json.loads(os.environ["SM_HPS"])
if parameters.get("fail"):
    raise SystemExit("failed as it was told to")
rows = Path(os.environ["SM_CHANNEL_TRAIN"], "rows.csv").read_text().split()
total = sum(map(float, rows)) * parameters["factor"]
Path(os.environ["SM_MODEL_DIR"], "total.json").write_text(json.dumps(total))
print(f"host={os.environ['SM_CURRENT_HOST']} total={total};")
