"""The toolkit's logger."""

from __future__ import annotations

from logging import INFO, Logger, getLogger


def configure_logger() -> None:
    """The lines of the toolkit's logger from INFO on; where they go, the server has settled."""
    get_logger().setLevel(INFO)


def get_logger() -> Logger:
    """The logger of the name `sagemaker-inference`."""
    return getLogger("sagemaker-inference")
