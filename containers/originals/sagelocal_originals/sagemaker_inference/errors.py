"""The errors by which a script chooses what its caller sees (sagelocal_serve.script.originals)."""

from __future__ import annotations


class UnsupportedFormatError(Exception):
    """A content type that is not read (415), or in output_fn one that is not written (406)."""

    def __init__(self, content_type: object) -> None:
        super().__init__(
            f"Content type {content_type} is not supported by this framework.\n\n"
            "Please implement input_fn to deserialize the request data or an output_fn to "
            "serialize the response."
        )


class BaseInferenceToolkitError(Exception):
    """The answer has this status and this message; the phrase of HTTP is not used any more."""

    def __init__(self, status_code: int, message: str, phrase: str) -> None:
        super().__init__(status_code, message, phrase)
        self.status_code = status_code
        self.message = message
        self.phrase = phrase


class GenericInferenceToolkitError(BaseInferenceToolkitError):
    """The same with texts that may be left out."""

    def __init__(
        self, status_code: int, message: str | None = None, phrase: str | None = None
    ) -> None:
        message = message or "Invalid Request"
        super().__init__(status_code, message, phrase or message)
