"""STS: who am I."""

from __future__ import annotations

from sagelocal.services.calls import OperationTable

OPERATIONS: OperationTable = {}
