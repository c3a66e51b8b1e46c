"""S3, durable on disk."""

from __future__ import annotations

from sagelocal.services.calls import OperationTable

OPERATIONS: OperationTable = {}
