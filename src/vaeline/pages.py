"""Report pages of headings, paragraphs, lists, tables and pictures: as Markdown, or as one self-contained HTML file.

All text is escaped here. A file name or a message can therefore not break a table or become markup.
"""

import base64
import html
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; color: #1d1f24; background: #f6f4ef; margin: 0 auto; padding: 2rem;
  max-width: 72rem; }
h1, h2 { line-height: 1.2; }
h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; background: white; margin: 1rem 0; display: block; overflow-x: auto;
  width: max-content; max-width: 100%; }
th, td { padding: 0.3rem 0.8rem; border-bottom: 1px solid #ddd9d0; text-align: left; vertical-align: top; }
td { font-variant-numeric: tabular-nums; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1rem; margin: 1rem 0; }
figure { margin: 0; background: white; padding: 0.5rem; }
img { max-width: 100%; }
.number { text-align: right; white-space: nowrap; }
.good { color: #176c2b; } .warning { color: #a55400; } .bad { color: #b00020; }
figcaption { color: #5b5e66; font-size: 0.9rem; }
"""


Mark = Literal["", "good", "warning", "bad"]


@dataclass(frozen=True)
class Strong:
    """Words in bold type."""

    text: str


@dataclass(frozen=True)
class Code:
    """Words in fixed-width type."""

    text: str


Text = str | Sequence[str | Strong | Code]


@dataclass(frozen=True)
class Heading:
    """The title of a section, or of the page (level 1). `mark` is its colour in HTML."""

    text: str
    level: int = 2
    mark: Mark = ""


@dataclass(frozen=True)
class Sentence:
    """A paragraph."""

    text: Text


@dataclass(frozen=True)
class Listing:
    """A list with bullets."""

    items: Sequence[Text]


@dataclass(frozen=True)
class Table:
    """A table of text cells.

    numbers: the columns that HTML aligns to the right. marks: the colour of each row in HTML; empty for no colour.
    """

    frame: pd.DataFrame
    numbers: Collection[str] = ()
    marks: Sequence[Mark] = ()


@dataclass(frozen=True)
class Picture:
    """A picture: its file name without ending, its caption, and its PNG bytes. Only HTML needs the bytes."""

    name: str
    caption: str
    content: bytes = b""


@dataclass(frozen=True)
class Gallery:
    """Pictures beside each other."""

    pictures: Sequence[Picture]


Block = Heading | Sentence | Listing | Table | Gallery


def write_markdown(blocks: Sequence[Block]) -> str:
    """The page as Markdown. It expects its pictures beside it as `<name>.png`."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def write_html(blocks: Sequence[Block], title: str) -> str:
    """The page as one HTML file that contains its pictures."""
    body = "\n".join(_html(block) for block in blocks)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {_markdown_text(text)}"
        case Sentence(text):
            return _markdown_text(text)
        case Listing(items):
            return "\n".join(f"- {_markdown_text(item)}" for item in items)
        case Table(frame):
            rows = [[_markdown_cell(cell) for cell in row] for row in (frame.columns, *frame.itertuples(index=False))]
            return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], ["---"] * len(rows[0]), *rows[1:]))
        case Gallery(pictures):
            return "\n\n".join(f"![{_markdown_text(each.caption)}]({each.name}.png)" for each in pictures)


def _markdown_text(text: Text | Strong | Code) -> str:
    """The text on one line, without HTML tags."""
    match text:
        case str():
            return " ".join(text.splitlines()).replace("<", "\\<")
        case Strong(words):
            return f"**{_markdown_text(words)}**"
        case Code(words):
            return f"`{words.replace('`', chr(39))}`"
    return "".join(_markdown_text(part) for part in text)


def _markdown_cell(cell: object) -> str:
    return _markdown_text(str(cell)).replace("|", "\\|")


def _html(block: Block) -> str:
    match block:
        case Heading(text, level, mark):
            return f"<h{level}{_class(mark)}>{html.escape(text)}</h{level}>"
        case Sentence(text):
            return f"<p>{_html_text(text)}</p>"
        case Listing(items):
            return "<ul>\n" + "\n".join(f"<li>{_html_text(item)}</li>" for item in items) + "\n</ul>"
        case Table():
            return _html_table(block)
        case Gallery(pictures):
            return '<div class="pair">\n' + "\n".join(_html_figure(picture) for picture in pictures) + "\n</div>"


def _html_text(text: Text | Strong | Code) -> str:
    match text:
        case str():
            return html.escape(text)
        case Strong(words):
            return f"<strong>{html.escape(words)}</strong>"
        case Code(words):
            return f"<code>{html.escape(words)}</code>"
    return "".join(_html_text(part) for part in text)


def _html_table(table: Table) -> str:
    columns = list(table.frame.columns)
    head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in columns)
    marks = table.marks or [""] * len(table.frame)
    rows = []
    for row, mark in zip(table.frame.itertuples(index=False), marks, strict=True):
        cells = [
            f"<td{_class('number' if column in table.numbers else '')}>{html.escape(str(cell))}</td>"
            for column, cell in zip(columns, row, strict=True)
        ]
        rows.append(f"<tr{_class(mark)}>{''.join(cells)}</tr>")
    return f"<table>\n<tr>{head}</tr>\n" + "\n".join(rows) + "\n</table>"


def _html_figure(picture: Picture) -> str:
    source = f"data:image/png;base64,{base64.b64encode(picture.content).decode()}"
    caption = html.escape(picture.caption)
    return f'<figure><img alt="{caption}" src="{source}"><figcaption>{caption}</figcaption></figure>'


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""
