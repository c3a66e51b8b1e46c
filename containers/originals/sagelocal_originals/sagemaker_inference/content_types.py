"""The media types that `encoder` and `decoder` know, and a few more."""

from __future__ import annotations

JSON = "application/json"
CSV = "text/csv"
OCTET_STREAM = "application/octet-stream"
ANY = "*/*"
NPY = "application/x-npy"
NPZ = "application/x-npz"
#: What a script's functions get as str.
UTF8_TYPES = [JSON, CSV]
