"""The report as JUnit XML, which every CI shows: a test for each rule, errors and warnings fail."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from sagelocal.check.findings import Outcome, Report
from sagelocal.check.rules import Severity


def junit(report: Report, strict: bool = False) -> str:
    """One test suite. What does not change the exit status is passed, with its words."""
    fatal = {Severity.ERROR, *([Severity.WARNING] if strict else [])}
    failures = [f for f in report.broken() if f.rule.severity in fatal]
    skipped = [f for f in report.findings if f.outcome is Outcome.SKIPPED]
    suite = ET.Element(
        "testsuite",
        name=f"sagelocal check {report.image}",
        tests=str(len(report.findings)),
        failures=str(len(failures)),
        errors="0",
        skipped=str(len(skipped)),
        time=f"{report.seconds:.3f}",
    )
    for finding in report.findings:
        rule = finding.rule
        case = ET.SubElement(suite, "testcase", classname=report.image, name=rule.name)
        told = f"{rule.asks}\nSeen: {finding.seen}\nWhy: {rule.why}\nFix: {rule.fix}"
        if finding in failures:
            failure = ET.SubElement(case, "failure", type=rule.severity.value, message=finding.seen)
            failure.text = told
        elif finding.outcome is Outcome.SKIPPED:
            ET.SubElement(case, "skipped", message=finding.seen)
        else:
            broken = finding.outcome is Outcome.BROKEN
            ET.SubElement(case, "system-out").text = told if broken else finding.seen
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
