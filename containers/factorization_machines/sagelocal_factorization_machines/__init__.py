"""Amazon SageMaker's built-in algorithm Factorization Machines: regression and binary
classification of sparse rows, with a weight for every pair of features.

training:main and serving:app are what the image's `train` and `serve` run. Inside:

    hyperparameters     what is asked for, checked and typed
    model               the formula, and the artifact
    adam   fit          batches of sparse rows, and the weights that they touch
    figures             errors and accuracies
"""
