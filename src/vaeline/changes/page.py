"""A page of headings, sentences, tables and pictures, written as Markdown or as one HTML file that needs no other."""

import base64
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
figcaption { color: #5b5e66; font-size: 0.9rem; }
"""


@dataclass(frozen=True)
class Heading:
    """A section's title; level 1 is the page's own."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Sentence:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Table:
    """A table whose cells are texts."""

    frame: pd.DataFrame


@dataclass(frozen=True)
class Picture:
    """A PNG, its name as a file, and what it shows."""

    name: str
    caption: str
    content: bytes


@dataclass(frozen=True)
class Pictures:
    """Pictures beside each other."""

    pictures: Sequence[Picture]


Block = Heading | Sentence | Table | Pictures


def write_markdown(blocks: Sequence[Block]) -> str:
    """The page as Markdown; its pictures lie beside it as `<name>.png`."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def write_html(blocks: Sequence[Block], title: str) -> str:
    """The page as one file of HTML with its pictures inside."""
    body = "\n".join(_html(block) for block in blocks)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Sentence(text):
            return text
        case Table(frame):
            rows = [frame.columns, ["---"] * len(frame.columns), *frame.itertuples(index=False)]
            return "\n".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |" for row in rows)
        case Pictures(pictures):
            return "\n\n".join(f"![{picture.caption}]({picture.name}.png)" for picture in pictures)


def _html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Sentence(text):
            return f"<p>{html.escape(text)}</p>"
        case Table(frame):
            head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in frame.columns)
            rows = [
                "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in frame.itertuples(index=False)
            ]
            return f"<table>\n<tr>{head}</tr>\n" + "\n".join(f"<tr>{row}</tr>" for row in rows) + "\n</table>"
        case Pictures(pictures):
            figures = [
                f'<figure><img alt="{html.escape(picture.caption)}" src="data:image/png;base64,'
                f'{base64.b64encode(picture.content).decode()}"><figcaption>{html.escape(picture.caption)}</figcaption>'
                "</figure>"
                for picture in pictures
            ]
            return '<div class="pair">\n' + "\n".join(figures) + "\n</div>"


def _row(cells: Iterable[object], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(str(cell))}</{tag}>' for cell in cells)}</tr>"
