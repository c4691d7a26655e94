"""One page that stands alone, to be kept with a build or sent to someone."""

from __future__ import annotations

from html import escape
from itertools import groupby

from shapecheck.findings.diagnostic import Diagnostic
from shapecheck.formats import Report
from shapecheck.formats.text import explain
from shapecheck.source.text import visible

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; }
h2 { font: 600 1rem ui-monospace, monospace; margin-top: 2.5rem; }
article { border-left: .3rem solid #8c959f; margin: 1rem 0; padding: .1rem 1rem; background: #f6f8fa; }
article.error { border-color: #cf222e; }
article.warning { border-color: #bf8700; }
article.info { border-color: #0969da; }
pre { overflow-x: auto; font: 13px/1.45 ui-monospace, monospace; }
"""


def render(report: Report) -> str:
    count = len(report.diagnostics)
    where = len({d.path for d in report.diagnostics})
    title = f"shapecheck: {_count(count, 'finding')} in {_count(where, 'file')}, {_count(report.files, 'file')} checked"
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n",
    ]
    if report.problems:
        parts.append("<h2>Not checked, or not wholly</h2>\n")
        told = (escape(str(problem)) for problem in report.problems)
        parts += [f'<article class="error">\n<p>{text}</p>\n</article>\n' for text in told]
    for filename, group in groupby(report.diagnostics, key=lambda d: d.filename):
        parts.append(f"<h2>{escape(visible(filename))}</h2>\n")
        parts += [_article(d, report) for d in group]
    return "".join([*parts, "</body>\n</html>\n"])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _article(d: Diagnostic, report: Report) -> str:
    told = escape("".join(text for text, _ in explain(d, report)))
    link = f'<a href="{escape(d.url)}">{escape(d.code)} {escape(d.name)}</a>'
    return f'<article class="{d.severity.value}">\n<p>{link}</p>\n<pre>{told}</pre>\n</article>\n'
