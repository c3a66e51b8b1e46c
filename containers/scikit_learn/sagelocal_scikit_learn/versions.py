"""Models that another scikit-learn saved: loaded all the same, and said so in one line.

scikit-learn keeps its version in each estimator that it pickles, as `_sklearn_version`, and warns
for each of them when another version unpickles it (scikit-learn user guide, "Model persistence").
"""

from __future__ import annotations

import bz2
import gzip
import logging
import lzma
import os
import re
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sklearn
from sklearn.exceptions import InconsistentVersionWarning

log = logging.getLogger("sagelocal_serve")

CURRENT = str(sklearn.__version__)

_SAVED_BY = re.compile(rb"_sklearn_version[^\d]{1,12}?(\d+\.\d+[\w.]*)")
# What joblib compresses with, by the first bytes of its files.
_DECOMPRESS: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x78": zlib.decompress,
    b"\x1f\x8b": gzip.decompress,
    b"BZ": bz2.decompress,
    b"\xfd7zXZ": lzma.decompress,
    b"\x5d\x00": lzma.decompress,
}


def saved_by(path: Path) -> str | None:
    """The version of scikit-learn that saved a file, read without running what is pickled in it."""
    content = path.read_bytes()
    for magic, decompress in _DECOMPRESS.items():
        if content.startswith(magic):
            try:
                content = decompress(content)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
                return None
    found = _SAVED_BY.search(content)
    return found[1].decode() if found else None


class VersionWatch:
    """Sees which scikit-learn saved what is loaded. Made before the workers are forked."""

    def __init__(self) -> None:
        #: The version that saved the model, if it is not this one.
        self.other: str | None = None
        # The worker that gets the byte says it for all of them.
        self._token, end = os.pipe()
        os.write(end, b"1")
        os.close(end)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """What is unpickled inside warns once, in the log, and with both versions."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", InconsistentVersionWarning)
            yield
        for each in caught:
            if isinstance(each.message, InconsistentVersionWarning):
                self.other = str(each.message.original_sklearn_version)
            else:
                warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
        if self.other and os.read(self._token, 1):
            log.warning(
                "The model was saved by scikit-learn %s and is loaded by %s: its predictions may "
                "differ. Save it again with %s to be sure.",
                *(self.other, CURRENT, CURRENT),
            )

    def hint(self) -> str:
        """What to add to an error of a model that another version saved."""
        if self.other is None:
            return ""
        return (
            f" The model was saved by scikit-learn {self.other}, and this is {CURRENT}: save it "
            "again with this one."
        )
