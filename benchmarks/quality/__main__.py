"""Train the presets on the real MNIST with three seeds each, and compare them with published figures.

python benchmarks/quality [PRESET ...]     trains what benchmarks/quality/results lacks; writes table.md
"""

import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import one_class
from quality.table import ROWS, Row
from quality.trainings import RESULTS, ROOT, SEEDS, Result, read, result

from vaeline.artifacts import atomic_file
from vaeline.compute import fix_threads
from vaeline.params.whole import read_params

TABLE = RESULTS.parent / "table.md"
PICTURES = ROOT / "docs/pictures/family"
HEAD = """\
MNIST, 10,000 test images; mean ± standard deviation over the seeds of the training. Likelihoods in nats per image, NLL
on seeded binary pixels. Minutes are those of the training alone, on {machine}, for the fastest seed, because
other work on the machine adds to them. `make run PRESET=…` runs a preset; `python benchmarks/quality` makes the table.

| preset | measure | published | goal | reached | seeds | minutes | parameters |
|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    # Must come before a model is loaded to count its parameters: TensorFlow fixes its threads then.
    fix_threads(read_params(ROOT / "params.yaml").compute.threads)
    for seed in SEEDS:
        for preset in sys.argv[1:] or dict.fromkeys(row.preset for row in ROWS):
            found = train(preset, seed)
            print(f"{preset}, seed {seed}: {found['minutes']} minutes, {found['metrics']}", flush=True)
            write_table()
    print(TABLE.read_text(encoding="utf-8"))


def train(preset: str, seed: int) -> Result:
    """Train a preset once, and measure it as its rows need it."""
    if preset == one_class.NAME:
        return one_class.one_class(seed)
    needs = {key: value for row in ROWS if row.preset == preset for key, value in row.needs.items()}
    return result(preset, {"train.seed": seed, **needs}, RESULTS / f"{preset}-{seed}.json", PICTURES / f"{preset}.png")


def write_table() -> None:
    """Write the rows of all presets that have been trained, now or before."""
    results = [read(file) for file in sorted(RESULTS.glob("*.json"))]
    machine = ", ".join(sorted({found["machine"] for found in results}))
    lines = [line for row in ROWS if (line := write_row(row, results))]
    with atomic_file(TABLE) as temporary:
        temporary.write_text(HEAD.format(machine=machine) + "\n".join(lines) + "\n", encoding="utf-8")


def write_row(row: Row, results: list[Result]) -> str:
    """A line of the table; empty if the preset has not been trained."""
    by_seed = {
        name: {found["params"]["train"]["seed"]: found for found in results if found["preset"] == name}
        for name in (row.preset, row.against)
    }
    own, other = by_seed[row.preset], by_seed[row.against]
    seeds = [seed for seed in own if not row.against or seed in other]
    if not seeds:
        return ""
    values = [row.figure(own[seed], *([other[seed]] if row.against else [])) for seed in seeds]
    spread = f" ± {row.form.format(statistics.stdev(values))}" if len(values) > 1 else ""
    minutes = min(found["minutes"] for found in own.values())
    cells = [
        f"`{row.preset}`",
        row.measure,
        row.anchor,
        row.reach,
        f"{row.form.format(statistics.mean(values))}{spread}".replace("-", "−"),
        str(len(values)),
        f"{minutes:.1f}",
        f"{own[seeds[0]]['parameters']:,}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
