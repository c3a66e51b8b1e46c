"""Amazon SageMaker's built-in algorithm Image Classification (MXNet): which classes an image has.

training:main and serving:app are what the image's `train` and `serve` run. Inside, data flows from
left to right:

    hyperparameters   channels          what is asked for, checked and typed
    pictures   labels   dataset         channels to one checked file of images each
    network   artifact   beginning      the network: new, an earlier job's, or a pretrained one
    batches   losses   figures          images in, gradients and figures out
    progress   checkpoints   fit        epochs, going on after an interruption, early stopping
    predictor   serving                 questions and answers

What stands in the first two lines does without MXNet.
"""
