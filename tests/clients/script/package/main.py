import os
from pathlib import Path

import my_training

print(my_training.WORDS, Path(my_training.__file__).parent)
Path(os.environ["SM_MODEL_DIR"], "words.txt").write_text(my_training.WORDS)
