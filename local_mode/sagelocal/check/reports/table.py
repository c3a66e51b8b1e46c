"""The report at a terminal: a line for each rule, and what to do about the broken ones."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator

import click

from sagelocal.check.findings import Finding, Outcome, Report
from sagelocal.check.rules import Severity

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.ADVICE: "cyan"}
_INDENT = " " * 4


def table(report: Report) -> str:
    """The text, with the colours of a terminal, which `click.echo` takes off elsewhere."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    columns = shutil.get_terminal_size((100, 24)).columns
    width = max(len(finding.rule.name) for finding in report.findings)
    for finding in report.findings:
        seen = textwrap.shorten(finding.seen, max(20, columns - width - 12), placeholder=" ...")
        yield f"{_mark(finding)} {finding.rule.name:<{width}}  {seen}"
    for finding in report.broken():
        yield ""
        yield click.style(
            f"{finding.rule.severity.value}: {finding.rule.name}",
            fg=_COLOURS[finding.rule.severity],
            bold=True,
        )
        for head, text in (
            ("asked", finding.rule.asks),
            ("seen", finding.seen),
            ("why", finding.rule.why),
            ("fix", finding.rule.fix),
        ):
            yield textwrap.fill(
                f"{head:<6} {text}",
                columns - 2,
                initial_indent=_INDENT,
                subsequent_indent=_INDENT + " " * 7,
                break_long_words=False,
                break_on_hyphens=False,
            )
    yield ""
    yield summary(report)


def summary(report: Report) -> str:
    """What came of it in one line."""
    found = [(severity, len(report.broken(severity))) for severity in Severity]
    counts = [_count(severity, number) for severity, number in found if number]
    skipped = sum(finding.outcome is Outcome.SKIPPED for finding in report.findings)
    kept = sum(finding.outcome is Outcome.KEPT for finding in report.findings)
    return (
        f"{report.image}: {', '.join(counts) or 'nothing broken'}; {kept} rules kept, "
        f"{skipped} not tried, {report.seconds:.0f} s"
    )


def _count(severity: Severity, number: int) -> str:
    has_plural = number != 1 and severity is not Severity.ADVICE
    return f"{number} {severity.value}{'s' if has_plural else ''}"


def _mark(finding: Finding) -> str:
    if finding.outcome is Outcome.KEPT:
        return click.style("  ok   ", fg="green")
    if finding.outcome is Outcome.SKIPPED:
        return click.style("  -    ", dim=True)
    severity = finding.rule.severity
    return click.style(f"{severity.value:<7}", fg=_COLOURS[severity], bold=True)
