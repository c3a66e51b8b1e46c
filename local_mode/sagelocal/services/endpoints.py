"""Endpoints: create, update, describe, list, delete."""

from __future__ import annotations

from sagelocal.services.calls import OperationTable

OPERATIONS: OperationTable = {}
