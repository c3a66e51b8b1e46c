"""The class that handlers of the toolkit derive from."""

from __future__ import annotations

from typing import Any

from sagemaker_inference import decoder, encoder, errors, utils


class DefaultInferenceHandler:
    """The toolkit's own functions; a model and its predictions are what a subclass adds."""

    def default_model_fn(self, model_dir: str, context: Any = None) -> Any:
        """There is no model that this could load: raises NotImplementedError."""
        raise NotImplementedError("Please provide a model_fn implementation.")

    def default_input_fn(self, input_data: Any, content_type: str, context: Any = None) -> Any:
        """The request as an array."""
        return decoder.decode(input_data, content_type)

    def default_predict_fn(self, data: Any, model: Any, context: Any = None) -> Any:
        """There is no model that this could call: raises NotImplementedError."""
        raise NotImplementedError("Please provide a predict_fn implementation.")

    def default_output_fn(
        self, prediction: Any, accept: str, context: Any = None
    ) -> tuple[str | bytes, str]:
        """The prediction and its type: the first of the Accept list that can be written.

        Raises UnsupportedFormatError.
        """
        for content_type in utils.parse_accept(accept):
            if content_type in encoder.SUPPORTED_CONTENT_TYPES:
                return encoder.encode(prediction, content_type), content_type
        raise errors.UnsupportedFormatError(accept)
