"""The toolkit's logger, and how it set logging up."""

from __future__ import annotations

import logging

LOG_FORMAT = "%(asctime)s %(name)-12s %(levelname)-8s %(message)s"


def get_logger() -> logging.Logger:
    """The logger of the name `sagemaker-training-toolkit`."""
    return logging.getLogger("sagemaker-training-toolkit")


def configure_logger(level: int, log_format: str = LOG_FORMAT) -> None:
    """Log to standard error from this level on, if nothing else was configured."""
    logging.basicConfig(format=log_format, level=level)
