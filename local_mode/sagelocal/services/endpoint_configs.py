"""Endpoint configurations."""

from __future__ import annotations

from sagelocal.services.calls import OperationTable

OPERATIONS: OperationTable = {}
