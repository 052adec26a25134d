"""Write a report as one self-contained HTML page: no script, nothing fetched, all text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from oxoflow import __version__
from oxoflow.report.model import Content, KeyValue, Report, Section, Table, Text

STYLE = """\
:root { color-scheme: light dark; --line: #c8ccd0; --soft: #f4f5f6; }
@media (prefers-color-scheme: dark) { :root { --line: #4a4f55; --soft: #23272b; } }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; overflow-wrap: anywhere; }
nav ul { padding-left: 1.2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
th { background: var(--soft); }
p, td { white-space: pre-wrap; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); opacity: .75; }"""


# What would act on the page or the reader instead of being read: controls and direction marks.
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
_MARKS = (0x7F, *range(0x80, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F),
          *range(0x2066, 0x206A))  # fmt: skip
_VISIBLE = _PICTURES | {code: f"[U+{code:04X}]" for code in _MARKS}


def to_html(report: Report) -> str:
    """The report as a page in light and dark, with a list of contents."""
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_shown(report.title)}</title>",
        f"<style>\n{STYLE}\n</style>",
        "</head>",
        "<body>",
        f"<h1>{_shown(report.title)}</h1>",
        "<nav aria-label=\"Contents\"><ul>",
        *(f'<li><a href="#{_shown(part.id)}">{_shown(part.title)}</a></li>'
          for part in report.sections),
        "</ul></nav>",
        "<main>",
        *_sections(report.sections, 2),
        "</main>",
        f"<footer>Generated {_shown(report.generated_at)} by oxoflow {__version__}</footer>",
        "</body>",
        "</html>",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _sections(sections: Iterable[Section], level: int) -> Iterator[str]:
    for section in sections:
        heading = f"h{min(level, 6)}"
        yield f'<section id="{_shown(section.id)}">'
        yield f"<{heading}>{_shown(section.title)}</{heading}>"
        yield from _content(section.content)
        yield from _sections(section.subsections, level + 1)
        yield "</section>"


def _content(content: Content) -> Iterator[str]:
    match content:
        case Text():
            yield f"<p>{_shown(content.text)}</p>"
        case KeyValue():
            yield "<table>"
            for name, value in content.pairs:
                yield f'<tr><th scope="row">{_shown(name)}</th><td>{_shown(value)}</td></tr>'
            yield "</table>"
        case Table():
            heads = "".join(f'<th scope="col">{_shown(name)}</th>' for name in content.headers)
            yield f"<table><thead><tr>{heads}</tr></thead><tbody>"
            for row in content.rows:
                yield "<tr>" + "".join(f"<td>{_shown(cell)}</td>" for cell in row) + "</tr>"
            yield "</tbody></table>"


def _shown(text: str) -> str:
    """A text as it stands in the page: nothing in it is markup, and nothing is invisible."""
    return escape(text.translate(_VISIBLE))
