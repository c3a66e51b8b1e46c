"""Amazon SageMaker's built-in algorithm k-NN: labels of the nearest of many remembered rows.

training:main and serving:app are what the image's `train` and `serve` run. Inside:

    hyperparameters   what is asked for, checked and typed
    reduction         fewer features by a random projection
    index             the faiss index that is asked for
    model             neighbours and the label they vote for, and the artifact
    figures           what the model is worth on a test channel
"""
