"""The errors that scripts raise or catch."""

from sagemaker_inference.errors import UnsupportedFormatError


class ClientError(Exception):
    """What the user's data or code is to blame for."""


class ChannelDoesNotExistException(Exception):
    """A channel that the job does not have."""

    def __init__(self, channel_name: str) -> None:
        super().__init__(f"Channel {channel_name} is not a valid channel")


__all__ = ["ChannelDoesNotExistException", "ClientError", "UnsupportedFormatError"]
