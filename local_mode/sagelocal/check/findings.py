"""What a check found: for each rule whether the image keeps it, and what was seen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sagelocal.check.rules import Rule, Severity


class Outcome(Enum):
    """How a rule fared."""

    KEPT = "kept"
    BROKEN = "broken"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """One rule, and what was seen of it; of a skipped one, why."""

    rule: Rule
    outcome: Outcome
    seen: str


def kept(rule: Rule, seen: str) -> Finding:
    """The image keeps the rule."""
    return Finding(rule, Outcome.KEPT, _printable(seen))


def broken(rule: Rule, seen: str) -> Finding:
    """The image breaks the rule."""
    return Finding(rule, Outcome.BROKEN, _printable(seen))


def skipped(rule: Rule, why: str) -> Finding:
    """The rule could not be tried, or means nothing to this image."""
    return Finding(rule, Outcome.SKIPPED, _printable(why))


def _printable(text: str) -> str:
    """What containers print and answer may hold anything; terminals and XML do not take it."""
    return "".join(character if character.isprintable() else " " for character in text)


@dataclass(frozen=True)
class Report:
    """All findings of one check."""

    image: str
    image_id: str
    findings: tuple[Finding, ...]
    seconds: float

    def broken(self, severity: Severity | None = None) -> tuple[Finding, ...]:
        """The rules that are broken, of one severity if one is named."""
        return tuple(
            finding
            for finding in self.findings
            if finding.outcome is Outcome.BROKEN and severity in (None, finding.rule.severity)
        )

    def exit_status(self, strict: bool = False) -> int:
        """1 if an error was found, or with `strict` a warning; else 0."""
        fatal = {Severity.ERROR, *([Severity.WARNING] if strict else [])}
        return int(any(finding.rule.severity in fatal for finding in self.broken()))
