import pandas as pd
import pytest

from vaeline.pages import Code, Heading, Listing, Sentence, Strong, Table, write_html, write_markdown


def test_every_block_has_its_form_in_markdown_and_html():
    blocks = [
        Heading("Checks"),
        Sentence(["Gain ", Strong("+2"), " of ", Code("abc")]),
        Listing(["one", [Strong("two"), ": more"]]),
        Table(pd.DataFrame({"check": ["kl"], "value": ["3"]}), numbers={"value"}, marks=["bad"]),
    ]
    assert write_markdown(blocks) == (
        "## Checks\n\nGain **+2** of `abc`\n\n- one\n- **two**: more\n\n| check | value |\n| --- | --- |\n| kl | 3 |\n"
    )
    page = write_html(blocks, "page")
    assert "<p>Gain <strong>+2</strong> of <code>abc</code></p>" in page
    assert "<li><strong>two</strong>: more</li>" in page
    assert '<tr class="bad"><td>kl</td><td class="number">3</td></tr>' in page


@pytest.mark.parametrize(
    ("block", "markdown", "html"),
    [
        (Sentence("a <b> c"), "a \\<b> c", "a &lt;b&gt; c"),
        (Listing([["<i>", Strong("<b>")]]), "- \\<i>**\\<b>**", "&lt;i&gt;<strong>&lt;b&gt;</strong>"),
        (Sentence([Code("a`b<")]), "`a'b<`", "<code>a`b&lt;</code>"),
        (Table(pd.DataFrame({"a|b": ["c|d\ne"]})), "| a\\|b |\n| --- |\n| c\\|d e |", "<td>c|d\ne</td>"),
    ],
)
def test_what_a_page_quotes_cannot_become_markup(block, markdown, html):
    assert markdown in write_markdown([block])
    assert html in write_html([block], "page")
