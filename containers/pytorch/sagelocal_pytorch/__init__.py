"""What the PyTorch image adds to the toolkits: threads, addresses, models without a script.

training      the user's script, alone or under torchrun
serving       the user's inference script, with defaults for what it leaves out
models        the default model_fn: a TorchScript file, and what is wrong with any other
inference     the default input_fn, predict_fn and output_fn: tensors in and out
sources       a script whose archive is in S3
"""
