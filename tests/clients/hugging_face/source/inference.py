import json

from transformers import pipeline


def model_fn(model_dir):
    return pipeline("text-classification", model=model_dir, tokenizer=model_dir)


def transform_fn(model, input_data, content_type, accept):
    texts = json.loads(input_data)["texts"]
    return json.dumps([each["label"].lower() for each in model(texts)]), accept
