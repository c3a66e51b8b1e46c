"""Amazon SageMaker's built-in algorithm Factorization Machines: regression and binary
classification of sparse rows, with a weight for every pair of features.

training:main and serving:app are what the image's `train` and `serve` run. Inside:

    hyperparameters     what is asked for, checked and typed
    tables              a few rows over the features that occur in them
    model               the formula, and the artifact
    gradients           of batches of sparse rows, for the weights that they touch
    adam   fit          steps, batch by batch; `compiled` does them in C
    figures             errors and accuracies
"""
