"""Graphs as text that others read: Mermaid's syntax holds, whatever the labels say."""

import json
import re

import pytest

from vaeline.provenance.graph import Edge, Graph, Node, escape, make_graph, to_mermaid, to_plain

NASTY = [
    'say "hi"',
    "a <b> & c",
    "x | y",
    "`code`",
    "#quot; #35;",
    "two\nlines",
    ")]}",
    "end",
    "back\\slash",
    "über ☃",
    "%% no comment",
    "models:/a@b",
    "1. a list",
    "2) a list",
    "- a list",
    "+ a list",
    "*bold* __bold__ ~~gone~~",
    "%%{init: {'theme': 'dark'}}%%",
    "style n0: #quot;",
    "$$x^2$$",
]
NODE = re.compile(r'  (n\d+)(\[|\(\[|\[\(|\[\[)"([^"]*)"(\]|\]\)|\)\]|\]\])')
EDGE = re.compile(r'  (n\d+) -->\|"([^"|]*)"\| (n\d+)')
BRACKETS = {"[": "]", "([": "])", "[(": ")]", "[[": "]]"}
ENTITY = re.compile(r"#\d+;")
MARKDOWN = re.compile(r"(^|<br/>)([-+]|\d+[.)])( |$)")


def read_mermaid(text: str) -> tuple[dict[str, str], list[tuple[str, str, str]], str]:
    """Nodes, edges and the node in bold of a flowchart, if every line is one of the few that we write."""
    head, *lines, style = text.splitlines()
    assert head == "flowchart LR"
    nodes, edges = {}, []
    for line in lines:
        if node := NODE.fullmatch(line):
            assert not edges, "nodes come before edges"
            assert BRACKETS[node[2]] == node[4]
            nodes[node[1]] = node[3]
        else:
            edge = EDGE.fullmatch(line)
            assert edge, line
            assert {edge[1], edge[3]} <= set(nodes)
            edges.append((edge[1], edge[2], edge[3]))
    for label in (*nodes.values(), *(label for _, label, _ in edges)):
        bare = ENTITY.sub("", label.replace("<br/>", ""))
        assert not set(bare) & set('"<>&#`|\\\n%{}*_~$:;'), label
        assert not MARKDOWN.search(label), label
    return nodes, edges, re.fullmatch(r"  style (n\d+) stroke-width:4px", style)[1]


def test_the_parser_refuses_what_mermaid_does():
    with pytest.raises(AssertionError):
        read_mermaid('flowchart LR\n  n0["a"b"]\n  style n0 stroke-width:4px')
    with pytest.raises(AssertionError):
        read_mermaid('flowchart LR\n  n0["a"]\n  n0 -->|"x"| n1\n  style n0 stroke-width:4px')


def test_any_label_makes_a_valid_flowchart():
    kinds = ["version", "data", "image", "stage", "run"]
    nodes = [Node(f"id {text}", kinds[index % 5], text, text * 20) for index, text in enumerate(NASTY)]
    edges = [Edge(nodes[index - 1].id, node.id, node.label) for index, node in enumerate(nodes)]
    found, arrows, bold = read_mermaid(to_mermaid(make_graph(nodes[3], nodes, edges)))
    assert len(found) == len(arrows) == len(NASTY)
    assert found[bold].startswith("stage<br/>#96;code#96;<br/>")


def test_an_escaped_text_says_what_it_said():
    assert escape('a "b" <c> #1;\n d') == "a #34;b#34; #60;c#62; #35;1#59; d"
    assert escape("models/vae.keras, src/a-b @champion") == "models/vae.keras, src/a-b @champion"
    for text in NASTY:
        assert re.sub(r"#(\d+);", lambda code: chr(int(code[1])), escape(text)) == " ".join(text.split())


def test_a_graph_keeps_each_node_and_edge_once_and_no_edge_into_nothing():
    subject, other = Node("a", "run", "A"), Node("b", "data", "B", facts={"rows": 3})
    edge = Edge("b", "a", "trained")
    graph = make_graph(subject, [other, Node("a", "run", "again")], [edge, edge, Edge("c", "a", "lost")])
    assert (list(graph.nodes), graph.nodes["a"].label, graph.edges) == (["a", "b"], "A", (edge,))
    assert (graph.sources("a"), graph.uses("b"), graph.uses("a")) == ([edge], [edge], [])
    plain = json.loads(json.dumps(to_plain(graph)))
    assert plain["subject"] == "a"
    assert plain["nodes"][1] == {"id": "b", "kind": "data", "label": "B", "digest": "", "facts": {"rows": 3}}
    assert plain["edges"] == [{"source": "b", "target": "a", "label": "trained"}]


def test_a_flowchart_of_one_node():
    read_mermaid(to_mermaid(Graph("a", {"a": Node("a", "run", "A")}, ())))
