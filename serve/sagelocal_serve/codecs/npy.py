"""application/x-npy: numpy's own file format. Never a pickle, which would run the sender's code."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from sagelocal_serve.errors import BadRequest

_READ_HEADER = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}


def decode_npy(body: bytes) -> NDArray[Any]:
    """The array in an .npy file; raises BadRequest, also for a pickle or a cut file."""
    stream = io.BytesIO(body)
    try:
        version = npy_format.read_magic(stream)
        shape, fortran_order, dtype = _READ_HEADER[version](stream)
    except Exception as error:  # numpy raises whatever its header's parser meets
        raise BadRequest("The body is not an .npy file of version 1 or 2.") from error
    if dtype.hasobject:
        raise BadRequest("The .npy body holds Python objects. Send an array of numbers or strings.")
    payload = memoryview(body)[stream.tell() :]
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != len(payload):
        raise BadRequest(
            f"The .npy body declares shape {shape} of {dtype}, but holds {len(payload)} bytes."
        )
    try:
        array = np.frombuffer(payload, dtype).copy() if len(payload) else np.empty(0, dtype)
        return array.reshape(shape[::-1]).T if fortran_order else array.reshape(shape)
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"The .npy body declares a shape {shape} that cannot be made.") from error


def encode_npy(value: Any) -> bytes:
    """An array as an .npy file; raises ValueError for arrays of Python objects."""
    stream = io.BytesIO()
    np.save(stream, np.asarray(value), allow_pickle=False)
    return stream.getvalue()
