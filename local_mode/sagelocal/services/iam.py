"""IAM: what the clients need to find their role."""

from __future__ import annotations

from sagelocal.services.calls import OperationTable

OPERATIONS: OperationTable = {}
