"""What a spec names loosely, as the account knows it: role, image, bucket.

A look that the caller is not allowed to take is left out: CreateTrainingJob will say what is wrong.
"""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime

from sagelocal.account import Account, CloudError, NotThere, Refused, is_denial
from sagelocal.cloud.plan import Place, unique_name
from sagelocal.cloud.spec import Spec

DEFAULT_LOCAL_ROLE = "SageLocalExecutionRole"
_ROLE_ARN = re.compile(r"^arn:aws[a-z-]*:iam::(?P<account>\d{12}):role/(.*/)?(?P<name>[^/]+)$")
_ECR = re.compile(
    r"^(?P<account>\d{12})\.dkr[.-]ecr\.(?P<region>[a-z0-9-]+)\.(amazonaws\.com(\.cn)?|on\.aws)/"
    r"(?P<repository>[^:@]+)(:(?P<tag>[^@]+))?(@(?P<digest>.+))?$"
)
_IMAGE = re.compile(r"^(?P<repository>[^:@]+)(:(?P<tag>[^@]+))?(@(?P<digest>.+))?$")


def place_of(spec: Spec, account: Account, name: str | None, bucket: str | None) -> Place:
    """Everything that the spec leaves open. Raises CloudError for what is not there."""
    moment = datetime.now(UTC)
    return Place(
        name=name or unique_name(spec.common.name, moment),
        moment=moment,
        image=image_uri(account, spec.common.image),
        role=role_arn(account, spec.common.role),
        bucket=bucket or default_bucket(account),
    )


def default_bucket(account: Account) -> str:
    """The SageMaker SDK's: sagemaker-REGION-ACCOUNT."""
    return f"sagemaker-{account.region}-{account.identity.account}"


def role_arn(account: Account, role: str | None) -> str:
    """The ARN of a role by name or ARN. Raises CloudError if there is none."""
    if role is None and account.is_here:
        role = DEFAULT_LOCAL_ROLE
    if role is None:
        raise CloudError(
            "role is missing: the cloud needs the name or ARN of the role that the job takes on "
            '(`role = "MySageMakerRole"`)'
        )
    match = _ROLE_ARN.match(role)
    if match is None and (":" in role or "/" in role):
        raise CloudError(
            f"role is {role!r}; it must be a role's name, or an ARN such as "
            "arn:aws:iam::123456789012:role/MySageMakerRole"
        )
    name = match["name"] if match else role
    if match and (account.is_here or match["account"] != account.identity.account):
        return role  # A role of another account cannot be looked at from here.
    try:
        found = str(account.call("iam", "get_role", RoleName=name)["Role"]["Arn"])
    except NotThere as error:
        raise CloudError(
            f"there is no role {name!r} in account {account.identity.account}; "
            "`aws iam list-roles` lists those there are"
        ) from error
    except Refused as error:
        if not is_denial(error):
            raise
        if match is None:
            raise CloudError(
                f"role is the name {name!r}, and looking it up was denied ({error.code}); "
                "give the role's ARN instead"
            ) from error
        return role
    return found


def image_uri(account: Account, image: str) -> str:
    """The image's URI. A plane knows images by any name; the cloud takes them from ECR only.

    Raises CloudError for one that is not in ECR, or in another region's.
    """
    if account.is_here:
        return image
    match = _ECR.match(image)
    if match and match["region"] != account.region:
        raise CloudError(
            f"the image {image} is in {match['region']}, and the job would run in "
            f"{account.region}: SageMaker takes images of its own region only; push it there "
            f"(`sagelocal push IMAGE --region {account.region}`), or change --region"
        )
    own = match is None or match["account"] == account.identity.account
    named = match or _IMAGE.match(image)
    host, slash, _ = image.partition("/")
    if named is None or (match is None and slash and "." in host):
        raise CloudError(
            f"image is {image!r}, and SageMaker takes images from ECR only: push it by "
            f"`sagelocal push {image}`, and name it by its repository there"
        )
    repository, tag = named["repository"], named["tag"] or "latest"
    if own:
        _require_image(account, repository, tag, named["digest"])
    if match:
        return image
    domain = "amazonaws.com.cn" if account.region.startswith("cn-") else "amazonaws.com"
    registry = f"{account.identity.account}.dkr.ecr.{account.region}.{domain}"
    reference = f"@{named['digest']}" if named["digest"] else f":{tag}"
    return f"{registry}/{repository}{reference}"


def image_digest(account: Account, uri: str) -> str | None:
    """The digest that an image's URI stands for now; None if ECR does not tell."""
    named = _ECR.match(uri) or _IMAGE.match(uri)
    if named is None:
        return None
    if named["digest"]:
        return str(named["digest"])
    registry = named.groupdict().get("account")
    with contextlib.suppress(CloudError):
        found = account.call(
            "ecr",
            "describe_images",
            **({"registryId": registry} if registry else {}),
            repositoryName=named["repository"],
            imageIds=[{"imageTag": named["tag"] or "latest"}],
        )
        return str(found["imageDetails"][0]["imageDigest"])
    return None


def require_bucket(account: Account, bucket: str, *, make: bool) -> None:
    """See that a bucket is there, and in the region; `make` it if it is not.

    Raises CloudError. Where looking is denied the caller may still be able to write, or the job.
    """
    try:
        found = account.call("s3", "head_bucket", Bucket=bucket)
    except NotThere as error:
        if not make:
            raise CloudError(
                f"there is no bucket {bucket!r}; make it (`aws s3 mb s3://{bucket}`), or name none "
                f"to use {default_bucket(account)}"
            ) from error
        _create_bucket(account, bucket)
        return
    except Refused as error:
        if error.code in ("301", "PermanentRedirect"):
            raise CloudError(
                f"the bucket {bucket!r} is not in {account.region}; use one that is"
            ) from error
        if is_denial(error):
            return
        raise
    region = found.get("BucketRegion") or account.region
    if region != account.region:
        raise CloudError(
            f"the bucket {bucket!r} is in {region}, and the job would run in {account.region}; "
            "use a bucket of the same region"
        )


def _create_bucket(account: Account, bucket: str) -> None:
    # S3 wants no constraint for its oldest region.
    where = (
        {}
        if account.region == "us-east-1"
        else {"CreateBucketConfiguration": {"LocationConstraint": account.region}}
    )
    account.call("s3", "create_bucket", Bucket=bucket, **where)


def _require_image(account: Account, repository: str, tag: str, digest: str | None) -> None:
    wanted = {"imageDigest": digest} if digest else {"imageTag": tag}
    try:
        account.call("ecr", "describe_images", repositoryName=repository, imageIds=[wanted])
    except NotThere as error:
        what = f"{repository}@{digest}" if digest else f"{repository}:{tag}"
        pushed = repository if digest else f"{repository}:{tag}"
        raise CloudError(
            f"there is no image {what} in ECR of account {account.identity.account} in "
            f"{account.region} ({error.code}); push it first: `sagelocal push {pushed}"
            f" --region {account.region}`"
        ) from error
    except Refused as error:
        if not is_denial(error):
            raise
