"""What the Hugging Face image adds to the PyTorch image: models of the hub's form, by their task.

serving    the handler: the user's functions over the defaults
tasks      which task a model is for
hub        a model that is named by HF_MODEL_ID
pipelines  the default model_fn and predict_fn: transformers' pipeline of the task
bodies     the default input_fn and output_fn: {"inputs": ..., "parameters": ...} and back
"""
