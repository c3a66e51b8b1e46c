"""`decode_text` of sagelocal_serve.charset, for codecs."""

from sagelocal_serve.charset import CHARSETS, decode_text

__all__ = ["CHARSETS", "decode_text"]
