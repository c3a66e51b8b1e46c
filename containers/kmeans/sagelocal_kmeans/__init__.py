"""Amazon SageMaker's built-in algorithm K-Means: clusters of rows, found in one pass.

training:main and serving:app are what the image's `train` and `serve` run. Inside:

    hyperparameters   what is asked for, checked and typed
    distances         which centre is the closest, for many rows at once
    seeding           centres to begin with: at random, or by k-means++
    streaming         many centres, moved by one batch after the other
    lloyd             those made few: Lloyd's method, several times
    model             closest centres of rows, and the artifact
"""
