"""FailureReason of endpoints, in the cloud's words.

The first sentences are what DescribeEndpoint says in the cloud; causes that only a local machine
can tell follow them. At most 1,024 characters (botocore shape FailureReason).
"""

from __future__ import annotations

LONGEST_REASON = 1024
_CLIENT_ERRORS = range(400, 500)


def shorten(reason: str) -> str:
    """A FailureReason within AWS's limit, cut at its end."""
    return reason if len(reason) <= LONGEST_REASON else reason[: LONGEST_REASON - 3] + "..."


def ping_failure(label: str, variant_name: str | None) -> str:
    """The cloud's reason when a container does not answer /ping in time.

    Without a variant it is one of a transform job.
    """
    if variant_name is None:
        return f"The {label} container did not pass the ping health check."
    return (
        f"The {label} container for production variant {variant_name} did not pass the ping "
        "health check. Please check CloudWatch logs for this endpoint."
    )


def download_failure(label: str, url: str) -> str:
    """The cloud's reason when model data is not there."""
    return (
        f'Failed to download model data for container "{label}" from URL: "{url}". Please ensure '
        "that there is an object located at the URL and that the role passed to CreateModel has "
        "permissions to download the object."
    )


def extraction_failure(label: str, url: str) -> str:
    """The cloud's reason when model data is no proper archive."""
    return (
        f'Failed to extract model data archive for container "{label}" from URL "{url}". Please '
        "ensure that the object located at the URL is a valid tar.gz archive."
    )


def target_download_failure(bucket: str, key: str) -> str:
    """The cloud's answer to a call of a target model that is not there."""
    return (
        f"Failed to download model data(bucket: {bucket}, key: {key}). Please ensure that there is "
        "an object located at the URL and that the role passed to CreateModel has permissions to "
        "download the model."
    )


def model_error(
    label: str, status: int, message: str, endpoint_name: str, region: str, account: str
) -> str:
    """What clients are told of a model that did not answer with success."""
    whose = "client" if status in _CLIENT_ERRORS else "server"
    return (
        f'Received {whose} error ({status}) from {label} with message "{message}". See '
        f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
        f"#logEventViewer:group=/aws/sagemaker/Endpoints/{endpoint_name} in account {account} for "
        "more information."
    )
