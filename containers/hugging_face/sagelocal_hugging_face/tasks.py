"""Which task a model is for: HF_TASK, or the end of its architecture's name.

    {"architectures": ["BertForSequenceClassification"], ...}    text-classification

The table is that of the Hugging Face inference toolkit, where the last entry that fits counts.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

VARIABLE = "HF_TASK"
CONFIG = "config.json"

BY_ARCHITECTURE = {
    "ForQuestionAnswering": "question-answering",
    "TapasForQuestionAnswering": "table-question-answering",
    "ForTokenClassification": "token-classification",
    "ForSequenceClassification": "text-classification",
    "ForMultipleChoice": "multiple-choice",
    "ForMaskedLM": "fill-mask",
    "ForCausalLM": "text-generation",
    "ForConditionalGeneration": "text2text-generation",
    "MTModel": "text2text-generation",
    "EncoderDecoderModel": "text2text-generation",
    "GPT2LMHeadModel": "text-generation",
    "T5WithLMHeadModel": "text2text-generation",
}


class NoTask(ValueError):
    """What a model is for is not known; the text says why, and the next step."""


def task_of(model_dir: Path) -> str:
    """The task of the model in a folder, as the environment or its configuration says it.

    Raises NoTask.
    """
    if wanted := os.environ.get(VARIABLE):
        return wanted
    path = model_dir / CONFIG
    if not path.is_file():
        names = ", ".join(sorted(each.name for each in model_dir.iterdir())[:10]) or "nothing"
        raise NoTask(
            f"The model has no {CONFIG}, which says what it is; its folder holds: {names}. "
            "Save it with model.save_pretrained and tokenizer.save_pretrained, and set "
            f"{VARIABLE} if it is for another task than its architecture says; or define model_fn "
            "in code/inference.py"
        )
    architecture = _architecture(path)
    tasks = [task for end, task in BY_ARCHITECTURE.items() if architecture.endswith(end)]
    if not tasks:
        raise NoTask(
            f"The architecture {architecture or 'of the model'!r} of {CONFIG} does not say what "
            f"the model is for: set {VARIABLE}, for one to 'feature-extraction'"
        )
    return tasks[-1]


def _architecture(path: Path) -> str:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return str((config.get("architectures") or [""])[0])
    except (ValueError, AttributeError, TypeError, LookupError) as error:
        raise NoTask(f"{CONFIG} is no configuration of a transformers model: {error}") from error
