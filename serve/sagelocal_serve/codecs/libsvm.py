"""text/libsvm: sparse rows, columns counted from 0, a label before each row or none.

In a request a label means nothing, and clients of hosted models leave it out. A first cell with a
colon is therefore a value, and never a label with its weight as in training data.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sagelocal_formats import FormatError
from sagelocal_formats.libsvm import read_libsvm

from sagelocal_serve.codecs.dense import to_dense
from sagelocal_serve.errors import BadRequest


def decode_libsvm(body: bytes) -> NDArray[np.float32]:
    """The features as a dense matrix, zeros where there is no value; raises BadRequest."""
    try:
        rows = read_libsvm(b"\n".join(map(_labelled, body.splitlines())), "the body")
    except FormatError as error:
        raise BadRequest(f"The libsvm body cannot be read: {error}.") from error
    if not len(rows):
        raise BadRequest("The libsvm body has no rows.")
    return to_dense(rows.features)


def _labelled(line: bytes) -> bytes:
    first = line.split(None, 1)[:1]
    return b"0 " + line if first and b":" in first[0].partition(b"#")[0] else line
