"""Names, ARNs and where things are called what: pure functions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scope:
    """The account and region that a request speaks for; part of every ARN."""

    account: str
    region: str

    def arn(self, service: str, resource: str) -> str:
        """`Scope("000000000000", "us-east-1").arn("sagemaker", "model/m")` and the like."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def sagemaker_arn(self, kind: str, name: str) -> str:
        """The ARN of a SageMaker resource: `kind` is its lower-case word, `training-job`."""
        return self.arn("sagemaker", f"{kind}/{name.lower()}")


@dataclass(frozen=True)
class S3Uri:
    """`s3://bucket/key`, with the key possibly empty or a prefix."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> S3Uri:
        """Raises ValueError, naming the value, for anything that is not an S3 URI."""
        scheme, separator, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not separator or not bucket:
            raise ValueError(f"not an S3 URI (s3://bucket/key): {uri!r}")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"
