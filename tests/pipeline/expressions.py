"""The expressions of GitHub's workflows: `${{ … }}`, evaluated over plain contexts."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

TOKEN = re.compile(
    r"""\s*(?: (?P<number>-?\d+(?:\.\d+)?)
            | '(?P<text>(?:[^']|'')*)'
            | (?P<name>[A-Za-z_][\w-]*)
            | (?P<sign>==|!=|<=|>=|&&|\|\||[!<>().,\[\]]) )""",
    re.VERBOSE,
)
HOLE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
STATUS = re.compile(r"\b(success|failure|cancelled|always)\s*\(")
WORDS = {"true": True, "false": False, "null": None}
Functions = Mapping[str, Callable[..., Any]]
FUNCTIONS: Functions = {
    "contains": lambda where, what: (
        str(what).lower() in (text(where).lower() if isinstance(where, str) else [text(item).lower() for item in where])
    ),
    "startsWith": lambda value, start: text(value).lower().startswith(text(start).lower()),
    "endsWith": lambda value, end: text(value).lower().endswith(text(end).lower()),
    "format": lambda pattern, *values: re.sub(r"\{(\d+)\}", lambda found: text(values[int(found[1])]), pattern),
    "toJSON": lambda value: json.dumps(value, indent=2),
    "fromJSON": json.loads,
    "hashFiles": lambda *patterns: f"hash-of-{'-'.join(patterns)}",
}


def interpolate(value: Any, contexts: Mapping[str, Any], functions: Functions = FUNCTIONS) -> str:
    """A value of a workflow as the string that a step gets, its expressions evaluated."""
    if not isinstance(value, str):
        return text(value)
    return HOLE.sub(lambda found: text(evaluate(found[1], contexts, functions)), value)


def condition(value: Any, contexts: Mapping[str, Any], functions: Functions) -> bool:
    """An `if:`; without a status function it also asks for the success of what came before."""
    source = str(value).strip()
    inside = HOLE.fullmatch(source)
    source = inside[1] if inside else source
    holds = bool(evaluate(source, contexts, functions)) if source else True
    return holds and (bool(STATUS.search(source)) or functions["success"]())


def evaluate(source: str, contexts: Mapping[str, Any], functions: Functions = FUNCTIONS) -> Any:
    """The value of one expression. Raises ValueError where it is none, or names an unknown context or function."""
    parser = _Parser(source, contexts, functions)
    value = parser.either()
    if parser.tokens:
        raise ValueError(f"{source!r}: {parser.tokens[0]} is not understood")
    return value


def text(value: Any) -> str:
    """A value as GitHub writes it into a string."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


class _Parser:
    """Recursive descent, from || at the loosest to a name at the tightest."""

    def __init__(self, source: str, contexts: Mapping[str, Any], functions: Functions):
        self.source, self.contexts, self.functions = source, contexts, functions
        self.tokens: list[tuple[str, str]] = []
        at, end = 0, len(source.rstrip())
        while at < end:
            found = TOKEN.match(source, at)
            if found is None:
                raise ValueError(f"{source!r}: no expression at {source[at:]!r}")
            self.tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()

    def sign(self, *signs: str) -> str:
        """The next token, taken, if it is one of these; else ""."""
        if self.tokens and self.tokens[0][0] == "sign" and self.tokens[0][1] in signs:
            return self.tokens.pop(0)[1]
        return ""

    def either(self) -> Any:
        value = self.both()
        while self.sign("||"):
            other = self.both()
            value = value or other
        return value

    def both(self) -> Any:
        value = self.compared()
        while self.sign("&&"):
            other = self.compared()
            value = value and other
        return value

    def compared(self) -> Any:
        value = self.negated()
        while found := self.sign("==", "!=", "<", ">", "<=", ">="):
            value = _compare(value, found, self.negated())
        return value

    def negated(self) -> Any:
        return not self.negated() if self.sign("!") else self.primary()

    def primary(self) -> Any:
        if self.sign("("):
            value = self.either()
            self.demand(")")
            return value
        if not self.tokens:
            raise ValueError(f"{self.source!r}: ends too early")
        kind, word = self.tokens.pop(0)
        if kind == "number":
            return float(word)
        if kind == "text":
            return word.replace("''", "'")
        if kind != "name":
            raise ValueError(f"{self.source!r}: {word} is not understood")
        if self.sign("("):
            return self.called(word)
        return WORDS[word] if word in WORDS else self.member(word)

    def called(self, name: str) -> Any:
        arguments = []
        while not self.sign(")"):
            arguments.append(self.either())
            self.sign(",")
        if name not in self.functions:
            raise ValueError(f"{self.source!r}: no function {name}")
        return self.functions[name](*arguments)

    def member(self, name: str) -> Any:
        if name not in self.contexts:
            raise ValueError(f"{self.source!r}: no context {name}")
        value = self.contexts[name]
        while found := self.sign(".", "["):
            key = self.tokens.pop(0)[1] if found == "." else self.either()
            if found == "[":
                self.demand("]")
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def demand(self, sign: str) -> None:
        if not self.sign(sign):
            raise ValueError(f"{self.source!r}: {sign} is missing")


def _compare(left: Any, sign: str, right: Any) -> bool:
    """GitHub's comparison: strings without regard to case, other pairs of unlike kinds as numbers."""
    if isinstance(left, str) and isinstance(right, str):
        left, right = left.lower(), right.lower()
    elif type(left) is not type(right):
        left, right = _number(left), _number(right)
    outcomes = {"==": left == right, "!=": left != right}
    if sign in outcomes:
        return outcomes[sign]
    return {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[sign]


def _number(value: Any) -> float:
    if value is None or value == "":
        return 0.0
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
