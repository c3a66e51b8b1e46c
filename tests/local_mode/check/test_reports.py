"""Reports of findings that hold anything, in every form."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from sagelocal.check.findings import Finding, Report, broken, kept, skipped
from sagelocal.check.reports.as_json import as_json
from sagelocal.check.reports.junit import junit
from sagelocal.check.reports.page import page
from sagelocal.check.reports.table import summary, table
from sagelocal.check.rules import ENTRY_POINT, LOCALE, MULTI_MODEL, RULES, SIZE


def report(*findings: Finding) -> Report:
    return Report("my-image:1", "sha256:0", findings, 12.3)


class Collected(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_rule_has_a_name_of_its_own() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)


@given(st.text())
def test_what_was_seen_may_hold_anything(seen: str) -> None:
    all_of_it = report(broken(ENTRY_POINT, seen), kept(SIZE, seen), skipped(MULTI_MODEL, seen))
    suite = ET.fromstring(junit(all_of_it))
    assert (suite.get("failures"), suite.get("skipped")) == ("1", "1")
    told = [each["seen"] for each in json.loads(as_json(all_of_it))["findings"]]
    assert len(set(told)) == 1
    assert all(line.isprintable() or "\x1b[" in line for line in table(all_of_it).splitlines())
    collected = Collected()
    collected.feed(page(all_of_it))
    assert "script" not in collected.tags
    assert told[0] in collected.text


def test_only_errors_fail_in_junit_unless_it_is_strict() -> None:
    warned = report(broken(LOCALE, "LANG=C"))
    assert ET.fromstring(junit(warned)).get("failures") == "0"
    assert ET.fromstring(junit(warned, strict=True)).get("failures") == "1"
    assert (warned.exit_status(), warned.exit_status(strict=True)) == (0, 1)


def test_the_summary_counts_by_severity() -> None:
    found = report(
        broken(ENTRY_POINT, "sh"), broken(LOCALE, "C"), broken(SIZE, "11 GB"), kept(MULTI_MODEL, "")
    )
    assert summary(found) == (
        "my-image:1: 1 error, 1 warning, 1 advice; 1 rules kept, 0 not tried, 12 s"
    )


def test_what_is_broken_is_told_with_its_reason_and_its_remedy() -> None:
    text = table(report(broken(ENTRY_POINT, "/bin/sh -c train")))
    for words in ("seen   /bin/sh -c train", "why ", "fix ", "ENTRYPOINT"):
        assert words in text
