"""The outcomes as a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from validator.corruptions import CORRUPTIONS
from validator.trials import Outcome

from vaeline.artifacts import atomic_file

HEAD = """\
What the validation catches: {corruptions} corruptions of clean images, each with several strengths. Made by
`python benchmarks/validator`.

## Corruptions

The least strength that fails an expectation, and the first expectation that fails. Strengths were tried from the
weakest on. The sets are 6,000 random images of MNIST and of Fashion-MNIST and 4,000 drawn colour pictures, in train,
validation and test, each with the profile that `vaeline profile` writes for it. Where rows of a class are left out,
their number is not asked for. {caught} of {cases} cases are caught; **missed** ones are not caught at the highest
strength.

| corruption | strengths | {sets} |
|---|---|{rules}|
"""
CLEAN = """
## Clean images

Alarms among {tries} random parts of each size, without splits: of the 70,000 images of MNIST and of Fashion-MNIST with
the profiles of the repository, and of the drawn pictures.

| images | {sizes} |
|---|{rules}|
"""
Outcomes = Mapping[tuple[str, str], Outcome]


def write_table(
    file: Path, outcomes: Outcomes, false: Mapping[tuple[str, int], list[str]], names: Sequence[str], tries: int
) -> None:
    """Write the least strengths, and the alarms of clean images."""
    caught = sum(found.strength is not None for found in outcomes.values())
    head = HEAD.format(
        corruptions=len(CORRUPTIONS),
        caught=caught,
        cases=len(outcomes),
        sets=" | ".join(names),
        rules="|".join("---" for _ in names),
    )
    rows = [
        f"| {corruption.name} | {', '.join(f'{strength:g}' for strength in corruption.strengths)} {corruption.unit} | "
        + " | ".join(_cell(outcomes.get((corruption.name, name))) for name in names)
        + " |"
        for corruption in CORRUPTIONS
    ]
    sizes = sorted({rows for _, rows in false})
    clean = CLEAN.format(
        tries=tries, sizes=" | ".join(f"{size:,}" for size in sizes), rules="|".join("---" for _ in sizes)
    )
    parts = [f"| {name} | {' | '.join(_alarms(false[name, size]) for size in sizes)} |" for name in names]
    with atomic_file(file) as temporary:
        temporary.write_text("\n".join([head + "\n".join(rows), clean + "\n".join(parts), ""]), encoding="utf-8")


def _cell(found: Outcome | None) -> str:
    if found is None:
        return "–"
    return "**missed**" if found.strength is None else f"{found.strength:g}: {found.expectations[0]}"


def _alarms(names: Sequence[str]) -> str:
    return str(len(names)) + (f" ({', '.join(sorted(set(names)))})" if names else "")
