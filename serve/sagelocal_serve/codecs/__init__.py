"""Bytes to values and back: pure functions, no HTTP, no model. They need numpy.

    delimited  text/csv             <-> 2-D array of numbers
    json_text  application/json     <-> values and arrays
    json_lines application/jsonlines <-> one value per line
    npy        application/x-npy    <-> array, never a pickle
    npz        application/x-npz     -> array or sparse matrix, never a pickle (scipy)
    libsvm     text/libsvm           -> 2-D array
    parquet    application/x-parquet -> 2-D array (pyarrow)
    images     image/jpeg, image/png, application/x-image -> pixels (Pillow)
    text, dense                       charsets, and how many zeros are too many
    records    what every Amazon built-in algorithm reads: CSV, JSON "instances", JSON Lines,
               recordio-protobuf -> one float32 row per record
    predictions what they all answer: {"predictions": [...]}, JSON Lines, recordio-protobuf, CSV
    defaults   the input_fn and output_fn of scripts that bring none

Whatever is wrong with the bytes is a BadRequest that says where and what; no other exception
leaves a decoder.
"""

from sagelocal_serve.codecs.predictions import PREDICTION_TYPES, encode_predictions
from sagelocal_serve.codecs.records import FEATURE_TYPES, decode_features, decode_rows

__all__ = [
    "FEATURE_TYPES",
    "PREDICTION_TYPES",
    "decode_features",
    "decode_rows",
    "encode_predictions",
]
