"""S3, durable on disk: what S3 promises, on top of `store.objects`.

buckets, bucket_documents              buckets and their configurations
object_reads, object_writes            objects; `copy_sources` for what copies name
multipart, multipart_lists             uploads in parts
listing, tagging                       pages of keys; tags and access control lists
bodies, chunked, checksums             uploaded bytes, and whether they are what was promised
conditions, descriptions, tag_sets     conditional requests and ranges; headers; tags
versions                               which version is meant; whether a bucket keeps any
presigned, faults, owners              what all operations share
"""

from __future__ import annotations

from collections.abc import Mapping

from sagelocal.services.calls import Operation, OperationTable
from sagelocal.services.s3 import (
    bucket_documents,
    buckets,
    listing,
    multipart,
    multipart_lists,
    object_reads,
    object_writes,
    tagging,
    versions,
)
from sagelocal.services.s3.faults import guarded

_BY_NAME: Mapping[str, Operation] = {
    "CreateBucket": buckets.create_bucket,
    "DeleteBucket": buckets.delete_bucket,
    "GetBucketAcl": buckets.get_bucket_acl,
    "GetBucketLocation": buckets.get_bucket_location,
    "HeadBucket": buckets.head_bucket,
    "ListBuckets": buckets.list_buckets,
    "PutBucketAcl": buckets.put_bucket_acl,
    "GetBucketVersioning": versions.get_bucket_versioning,
    "PutBucketVersioning": versions.put_bucket_versioning,
    **bucket_documents.operations(),
    "CopyObject": object_writes.copy_object,
    "DeleteObject": object_writes.delete_object,
    "DeleteObjects": object_writes.delete_objects,
    "GetObject": object_reads.get_object,
    "GetObjectAttributes": object_reads.get_object_attributes,
    "HeadObject": object_reads.head_object,
    "PutObject": object_writes.put_object,
    "DeleteObjectTagging": tagging.delete_object_tagging,
    "GetObjectAcl": tagging.get_object_acl,
    "GetObjectTagging": tagging.get_object_tagging,
    "PutObjectAcl": tagging.put_object_acl,
    "PutObjectTagging": tagging.put_object_tagging,
    "ListObjectVersions": listing.list_object_versions,
    "ListObjects": listing.list_objects,
    "ListObjectsV2": listing.list_objects_v2,
    "AbortMultipartUpload": multipart.abort_multipart_upload,
    "CompleteMultipartUpload": multipart.complete_multipart_upload,
    "CreateMultipartUpload": multipart.create_multipart_upload,
    "UploadPart": multipart.upload_part,
    "UploadPartCopy": multipart.upload_part_copy,
    "ListMultipartUploads": multipart_lists.list_multipart_uploads,
    "ListParts": multipart_lists.list_parts,
}

OPERATIONS: OperationTable = {
    ("s3", name): guarded(operation) for name, operation in _BY_NAME.items()
}
