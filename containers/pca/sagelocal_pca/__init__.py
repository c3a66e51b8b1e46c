"""Amazon SageMaker's built-in algorithm PCA: fewer features that keep most of the variance.

training:main and serving:app are what the image's `train` and `serve` run. Inside:

    hyperparameters   what is asked for, checked and typed
    regular           components from the sum of all products: exact
    randomized        components from random sums of rows: for very many features
    model             projecting rows, and the artifact
"""
