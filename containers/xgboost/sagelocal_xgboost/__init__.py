"""XGBoost as Amazon SageMaker has it: the built-in algorithm, and a framework for scripts.

training:main and serving:app are what the image's `train` and `serve` run; both choose between
the user's script and the algorithm. Inside, from what is asked for to the answer:

    declarations   hyperparameters   channels   metrics   plan     what a job may ask for
    files   csv_rows   data   labels   matrices                    channels to rows
    algorithm   hosts   booster   callbacks   custom_metrics       rows to models
    cross_validation                                               a model of each fold
    artifact                                                       models as files, of any version
    requests   predictor   answers   selectable                    a request on its way
    inference                                                      defaults for scripts
"""
