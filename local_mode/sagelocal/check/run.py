"""A whole check: the image as it lies there, `train`, `serve`, and as another user.

What is timed goes first and has the machine to itself: the run of `train` by which a model comes,
then the container that is asked everything. All else goes side by side after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack
from dataclasses import replace

from sagelocal.check import rules
from sagelocal.check.containers import Engine
from sagelocal.check.findings import Finding, Report
from sagelocal.check.hosting import check_hosting
from sagelocal.check.image import check_description, check_files, check_secrets
from sagelocal.check.multi_model import check_multi_model
from sagelocal.check.subject import Subject
from sagelocal.check.tasks import Task, side_by_side
from sagelocal.check.training import check_training
from sagelocal.check.user import joined_findings
from sagelocal.runtime.samples import PARTS


def check(
    engine: Engine,
    subject: Subject,
    parts: Collection[str] = PARTS,
    told: Callable[[str], None] = lambda _: None,
) -> Report:
    """Try the rules of some parts. `told` gets the name of what begins."""
    began = time.monotonic()
    findings: list[Finding] = []
    rest: list[Task] = []
    with ExitStack() as ended:
        if "train" in parts:
            told("train")
            trained = check_training(engine, subject, ended)
            findings += trained.findings
            rest += trained.rest
            if subject.model is None:
                subject = replace(subject, model=trained.model)
        if "serve" in parts:
            told("serve")
            served = check_hosting(engine, subject)
            findings += served.findings
            # First, for one of them waits for most of its time.
            rest = [*served.rest, lambda: [check_multi_model(engine, subject)], *rest]
        if "image" in parts:
            told("image")
            findings += [*check_description(subject), check_secrets(engine, subject)]
            rest.append(lambda: check_files(engine, subject))
        told("the rest")
        findings += side_by_side(rest)
    if "train" in parts or "serve" in parts:
        findings = _with_one_user(subject, findings)
    seconds = time.monotonic() - began
    return Report(subject.image, subject.image_id, tuple(_in_order(findings)), seconds)


def _with_one_user(subject: Subject, findings: list[Finding]) -> list[Finding]:
    """`train` and `serve` both tell of the user."""
    as_user = [each for each in findings if each.rule is rules.NON_ROOT]
    others = [each for each in findings if each.rule is not rules.NON_ROOT]
    return [*others, joined_findings(subject, as_user)]


def _in_order(findings: Iterable[Finding]) -> list[Finding]:
    place = {rule.name: number for number, rule in enumerate(rules.RULES)}
    return sorted(findings, key=lambda finding: place[finding.rule.name])
