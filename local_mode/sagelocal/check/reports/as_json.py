"""The report as JSON, for programs."""

from __future__ import annotations

import json

from sagelocal.check.findings import Report


def as_json(report: Report) -> str:
    """One object; its findings are in the order of the rules."""
    document = {
        "image": report.image,
        "imageId": report.image_id,
        "seconds": round(report.seconds, 3),
        "findings": [
            {
                "rule": finding.rule.name,
                "severity": finding.rule.severity.value,
                "outcome": finding.outcome.value,
                "seen": finding.seen,
                "asks": finding.rule.asks,
                "why": finding.rule.why,
                "fix": finding.rule.fix,
            }
            for finding in report.findings
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
