"""The report as one HTML page that needs nothing beside it."""

from __future__ import annotations

import re
from html import escape

from sagelocal.check.findings import Finding, Outcome, Report
from sagelocal.check.reports.table import summary
from sagelocal.check.rules import Severity

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #888; --ok: #2a8a3e; --error: #c62828;
  --warning: #b26a00; --advice: #1565c0 }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
p.summary { color: var(--dim); margin: .25rem 0 1.5rem }
article { border-left: 4px solid var(--tone); padding: .25rem 0 .25rem 1rem; margin: 1.25rem 0 }
article h3 { font-size: 1rem; margin: 0 } article h3 b { color: var(--tone) }
dl { display: grid; grid-template-columns: 4rem 1fr; gap: .25rem 1rem; margin: .5rem 0 0 }
dt { color: var(--dim) } dd { margin: 0; overflow-wrap: anywhere }
dd.seen, td.seen { font-family: ui-monospace, monospace; font-size: .875rem }
table { border-collapse: collapse; width: 100% }
td { border-top: 1px solid var(--line); padding: .4rem .75rem .4rem 0; vertical-align: top }
td.seen { color: var(--dim); overflow-wrap: anywhere } td.mark { color: var(--tone); width: 4rem }
td.name { white-space: nowrap }
.error { --tone: var(--error) } .warning { --tone: var(--warning) }
.advice { --tone: var(--advice) }
.kept { --tone: var(--ok) } .skipped { --tone: var(--dim) }
"""


def page(report: Report) -> str:
    """The page: what is broken first, then every rule."""
    title = f"sagelocal check {report.image}"
    broken = [f for severity in Severity for f in report.broken(severity)]
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
<h1>{escape(title)}</h1>
<p class="summary">{escape(summary(report))}<br>{escape(report.image_id)}</p>
{"".join(map(_article, broken))}<h2>Every rule</h2>
<table>
{"".join(map(_row, report.findings))}</table>
</html>
"""


def _text(text: str) -> str:
    """A rule's own words, where backquotes mark what is typed."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(text))


def _article(finding: Finding) -> str:
    rule = finding.rule
    severity = rule.severity.value
    return f"""<article class="{severity}">
<h3><b>{severity}</b> {_text(rule.asks)}</h3>
<dl>
<dt>seen</dt><dd class="seen">{escape(finding.seen)}</dd>
<dt>why</dt><dd>{_text(rule.why)}</dd>
<dt>fix</dt><dd>{_text(rule.fix)}</dd>
</dl>
</article>
"""


def _row(finding: Finding) -> str:
    rule = finding.rule
    if finding.outcome is Outcome.BROKEN:
        tone = mark = rule.severity.value
    elif finding.outcome is Outcome.KEPT:
        tone, mark = "kept", "ok"
    else:
        tone, mark = "skipped", "not tried"
    return (
        f'<tr class="{tone}"><td class="mark">{mark}<td class="name">{escape(rule.name)}'
        f'<td>{_text(rule.asks)}<td class="seen">{escape(finding.seen)}\n'
    )
