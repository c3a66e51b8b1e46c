"""As which user the containers of a check run."""

from __future__ import annotations

from collections.abc import Sequence

from sagelocal.check import rules
from sagelocal.check.findings import Finding, Outcome, broken, kept, skipped
from sagelocal.check.subject import LABEL_NON_ROOT, Subject

ROOT = "0"
# Somebody who owns nothing in an image.
_ANYBODY = "10001:10001"


def own_user(subject: Subject) -> str | None:
    """The image's own user, which its containers run as; None if that is root."""
    user = str(subject.configuration.get("User") or "")
    return user if user.partition(":")[0] not in ("", "0", "root") else None


def claimed_user(subject: Subject) -> str | None:
    """A user that the image says it works as, too; None if it says so of none."""
    if own_user(subject) is None and subject.has_label(LABEL_NON_ROOT):
        return _ANYBODY
    return None


def as_own_user(program: str, subject: Subject, seen: str) -> list[Finding]:
    """What a run that worked tells of an image with a user of its own."""
    user = own_user(subject)
    return [kept(rules.NON_ROOT, f"{program} as {user}: {seen}")] if user else []


def joined_findings(subject: Subject, found: Sequence[Finding]) -> Finding:
    """One finding of what was seen of `train` and of `serve`."""
    if own_user(subject) is None and claimed_user(subject) is None:
        return skipped(rules.NON_ROOT, "the image runs as root, and claims no more")
    tried = [each for each in found if each.outcome is not Outcome.SKIPPED]
    wrong = [each for each in tried if each.outcome is Outcome.BROKEN]
    if wrong:
        return broken(rules.NON_ROOT, "; ".join(each.seen for each in wrong))
    if tried:
        return kept(rules.NON_ROOT, "; ".join(each.seen for each in tried))
    return skipped(rules.NON_ROOT, found[0].seen if found else "nothing was run as its user")
