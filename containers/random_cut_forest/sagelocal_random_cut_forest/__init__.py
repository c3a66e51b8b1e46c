"""Amazon SageMaker's built-in algorithm Random Cut Forest: how anomalous rows are.

training:main and serving:app are what the image's `train` and `serve` run. Inside:

    hyperparameters   what is asked for, checked and typed
    sampling          a random sample of all hosts' rows, divided among the trees
    cutting           trees: random cuts, until all points are apart
    forest            the anomaly score of new rows
    model             the artifact
    figures           what the scores are worth on a labelled test channel
"""
