"""A lineage as a graph of nodes and edges, and its forms: plain values for JSON, and a Mermaid flowchart."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SHOWN_DIGITS = 12
SPECIAL = re.compile(r"[^\w /@.,()=+'!?…-]|_|[-+.)](?= |$)")  # special in Mermaid or in the Markdown of its labels
SHAPES = {"version": ("([", "])"), "data": ("[(", ")]"), "image": ("[(", ")]"), "stage": ("[[", "]]")}
SUBJECT_STYLE = "stroke-width:4px"


@dataclass(frozen=True)
class Node:
    """A node: `kind` is its type, `label` its name, and `facts` has everything else that is known about it."""

    id: str
    kind: str
    label: str
    digest: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Edge:
    """`target` was made from `source`; `label` says how."""

    source: str
    target: str
    label: str


@dataclass(frozen=True)
class Graph:
    """Nodes by id, the edges between them, and the id of the subject's node."""

    subject: str
    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]

    def sources(self, node: str) -> list[Edge]:
        """The edges from what the node was made from."""
        return [edge for edge in self.edges if edge.target == node]

    def uses(self, node: str) -> list[Edge]:
        """The edges to what was made from the node."""
        return [edge for edge in self.edges if edge.source == node]


def make_graph(subject: Node, nodes: Iterable[Node], edges: Iterable[Edge]) -> Graph:
    """A graph without duplicates. The first node of each id counts, and edges without both ends are left out."""
    known: dict[str, Node] = {}
    for node in (subject, *nodes):
        known.setdefault(node.id, node)
    kept = dict.fromkeys(edge for edge in edges if edge.source in known and edge.target in known)
    return Graph(subject.id, known, tuple(kept))


def to_plain(graph: Graph) -> dict[str, Any]:
    """The graph as plain values for JSON."""
    nodes = [
        {"id": node.id, "kind": node.kind, "label": node.label, "digest": node.digest, "facts": dict(node.facts)}
        for node in graph.nodes.values()
    ]
    edges = [{"source": edge.source, "target": edge.target, "label": edge.label} for edge in graph.edges]
    return {"subject": graph.subject, "nodes": nodes, "edges": edges}


def to_mermaid(graph: Graph) -> str:
    """A flowchart from left to right, sources before what was made from them. The subject has a thick border."""
    names = {node: f"n{index}" for index, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes.values():
        before, after = SHAPES.get(node.kind, ("[", "]"))
        texts = [node.kind, node.label, _shortened(node.digest)]
        lines.append(f'  {names[node.id]}{before}"{"<br/>".join(escape(text) for text in texts if text)}"{after}')
    lines += [f'  {names[edge.source]} -->|"{escape(edge.label)}"| {names[edge.target]}' for edge in graph.edges]
    return "\n".join([*lines, f"  style {names[graph.subject]} {SUBJECT_STYLE}"]) + "\n"


def escape(text: str) -> str:
    """The text for use between quotes in Mermaid: special characters as codes, white space as one blank."""
    return SPECIAL.sub(lambda found: f"#{ord(found[0])};", " ".join(text.split()))


def _shortened(digest: str) -> str:
    return f"{digest[:SHOWN_DIGITS]}…" if len(digest) > SHOWN_DIGITS else digest
