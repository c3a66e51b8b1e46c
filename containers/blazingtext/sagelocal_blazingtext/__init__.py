"""Amazon SageMaker's built-in algorithm BlazingText: word vectors and text classification.

training:main and serving:app are what the image's `train` and `serve` run. Inside, data flows from
left to right:

    hyperparameters   settings          what is asked for, checked and typed
    corpus   manifest                   channels to one checked text file each
    library                             fastText: supervised, skipgram, cbow
    encoded_lines   early_stopping      supervised, epoch by epoch, until it gets no better
    vocabulary   blocks   scatter       words as numbers, matrix products, sums of steps
    batch_skipgram                      these on all processors and hosts
    word_vectors   similarity   artifact    files of the model, and their evaluation
    progress                            the log
    queries   models   serving          questions and answers
"""
