"""Amazon SageMaker's built-in algorithm DeepAR: forecasts of many time series by one network.

training:main and serving:app are what the image's `train` and `serve` run. Inside, data flows from
left to right:

    hyperparameters   frequency              what is asked for; time
    series   channel   parquet_rows   matching    records to series that fit one another
    shape   dataset   inputs                 what the network is like, windows, a whole job
    network_arrays   network   fit   progress    training, by MXNet
    likelihoods   forecaster   calibration   accuracy    forecasts, in numpy, and their worth
    artifact                                 the files of the model
    requests   serving                       questions and answers
"""
