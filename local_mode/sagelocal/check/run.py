"""A whole check: the image as it lies there, `train`, `serve`, and as another user."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from sagelocal.check import rules
from sagelocal.check.containers import Engine
from sagelocal.check.findings import Finding, Report, broken, kept, skipped
from sagelocal.check.hosting import check_hosting, wait_until_ready
from sagelocal.check.hosting import plan as hosting_plan
from sagelocal.check.image import check_image
from sagelocal.check.multi_model import check_multi_model
from sagelocal.check.subject import LABEL_NON_ROOT, Subject
from sagelocal.check.training import check_training, trains_as

# Somebody who owns nothing in an image.
_ANYBODY = "10001:10001"


PARTS = ("image", "train", "serve")


def check(
    engine: Engine,
    subject: Subject,
    parts: Collection[str] = PARTS,
    told: Callable[[str], None] = lambda _: None,
) -> Report:
    """Try the rules of some parts. `told` gets the name of each part that begins."""
    began = time.monotonic()
    findings: list[Finding] = []
    if "image" in parts:
        told("image")
        findings += check_image(engine, subject)
    if "train" in parts:
        told("train")
        trained = check_training(engine, subject)
        findings += trained.findings
        if subject.model is None:
            subject = replace(subject, model=trained.model)
    if "serve" in parts:
        told("serve")
        findings += check_hosting(engine, subject)
        findings.append(check_multi_model(engine, subject))
    if "train" in parts and "serve" in parts:
        findings.append(_non_root(engine, subject))
    seconds = time.monotonic() - began
    return Report(subject.image, subject.image_id, tuple(_in_order(findings)), seconds)


def _in_order(findings: Iterable[Finding]) -> list[Finding]:
    place = {rule.name: number for number, rule in enumerate(rules.RULES)}
    return sorted(findings, key=lambda finding: place[finding.rule.name])


def _non_root(engine: Engine, subject: Subject) -> Finding:
    """As the image's own user, which every other run was, or as anybody where it says so."""
    user = str(subject.configuration.get("User") or "")
    is_own = user.partition(":")[0] not in ("", "0", "root")
    if not is_own and not subject.has_label(LABEL_NON_ROOT):
        return skipped(rules.NON_ROOT, "the image runs as root, and claims no more")
    as_user = None if is_own else _ANYBODY
    if subject.channels:
        trained = trains_as(engine, subject, as_user or user)
        if not trained.succeeded:
            return broken(rules.NON_ROOT, f"train as {as_user or user}: {trained.told()}")
    wanted = replace(hosting_plan(subject), user=as_user)
    with engine.started(wanted) as container:
        ready = wait_until_ready(container, subject.limits.startup, subject.limits.ping)
        if ready is None:
            seen = f"serve as {as_user or user}: {container.last_words()}"
            return broken(rules.NON_ROOT, seen)
    return kept(rules.NON_ROOT, f"works as {as_user or user}")
