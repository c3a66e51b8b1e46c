"""What the scikit-learn image adds to the toolkits: threads, codecs, and models without a script.

training      the user's script, with as many threads as there are processors
serving       the user's inference script, or a saved model as it is
saved_model   the second of the two: decode, predict, encode for the model that is loaded
script_mode   the first: defaults for what a script leaves out, and its source from S3
models        which file is the model, and what is wrong with it
versions      the one line about a model of another scikit-learn
tables        a request's body as an array or a DataFrame
features      that as the features which the model was fitted with
predictions   predict, predict_proba, transform ...; results as arrays
"""
