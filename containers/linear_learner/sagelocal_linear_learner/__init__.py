"""Amazon SageMaker's built-in algorithm Linear Learner: regression and classification.

training:main and serving:app are what the image's `train` and `serve` run. Inside, data flows from
left to right:

    hyperparameters   settings      what is asked for, checked and typed
    targets   scaling               labels and features as the losses want them
    candidates   optimizers   losses   fit      many models at once, the best state of each
    calibration   model   metrics   artifact    the best of them, its threshold, figures and files
    report                          its lines in the log

Channels, log, archive and requests are those of all such algorithms: sagelocal_first_party.
"""
