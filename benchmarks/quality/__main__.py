"""Train the presets with up to three seeds each, and compare them with published figures.

python benchmarks/quality [PRESET ...]     trains what benchmarks/quality/results lacks; writes table.md
python benchmarks/quality photos-64 --seeds 1
python benchmarks/quality resconv-40d-flow --seeds 1     needs a GPU and `make setup GPU=1`; not run yet

Presets of photographs need their pictures in data/own: sign-digits, clothing128, magnetic-tile192.
"""

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import one_class
from quality.table import MNIST, NOT_SHOWN, ON_GPU, ROWS, Row
from quality.table import PICTURES as PHOTOGRAPHS
from quality.trainings import RESULTS, ROOT, SEEDS, Result, read, result

from vaeline.artifacts import atomic_file
from vaeline.compute import fix_threads
from vaeline.params.whole import read_params

TABLE = RESULTS.parent / "table.md"
PICTURES = ROOT / "docs/pictures/family"
HEAD = """\
All test images, of MNIST where no other data set is named; mean ± standard deviation over the seeds of the training.
Likelihoods in nats per image, NLL on seeded binary pixels. PCA has as many components as the model has latents. Minutes
are those of the training alone, on {machine}, for the fastest seed, because other work on the machine adds to them.
`make run PRESET=…` runs a preset; `python benchmarks/quality` makes the table.

| preset | measure | published | goal | reached | seeds | minutes | parameters |
|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    # Must come before a model is loaded to count its parameters: TensorFlow fixes its threads then.
    fix_threads(read_params(ROOT / "params.yaml").compute.threads)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", metavar="PRESET", help="default: all of MNIST and Fashion-MNIST on a CPU")
    parser.add_argument("--seeds", type=int, choices=SEEDS, default=len(SEEDS), help="the number of trainings of each")
    options = parser.parse_args()
    usual = [row.preset for row in ROWS if row.data not in PHOTOGRAPHS and row.preset not in ON_GPU]
    wanted = options.presets or usual
    for seed in SEEDS[: options.seeds]:
        for name in dict.fromkeys(row.name for row in ROWS if row.preset in wanted):
            found = train(name, seed)
            print(f"{name}, seed {seed}: {found['minutes']} minutes, {found['metrics']}", flush=True)
            write_table()
    print(TABLE.read_text(encoding="utf-8"))


def train(name: str, seed: int) -> Result:
    """Train a preset once, and measure it as its rows need it."""
    if name == one_class.NAME:
        return one_class.one_class(seed)
    rows = [row for row in ROWS if row.name == name]
    needs = {key: value for row in rows for key, value in row.needs.items()}
    pictures = rows[0].data if rows[0].data in PHOTOGRAPHS else ""
    changes = {"train.seed": seed, **needs}
    samples = None if pictures in NOT_SHOWN else PICTURES / f"{name}.png"
    return result(rows[0].preset, changes, RESULTS / f"{name}-{seed}.json", samples, pictures)


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
        name: {found["params"]["train"]["seed"]: found for found in results if is_of(found, name, row.data)}
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
        f"`{row.preset}`" if row.data == MNIST else f"`{row.preset}`, {row.data}",
        row.measure,
        row.anchor,
        row.reach,
        f"{row.form.format(statistics.mean(values))}{spread}".replace("-", "−"),
        str(len(values)),
        f"{minutes:.1f}",
        f"{own[seeds[0]]['parameters']:,}",
    ]
    return f"| {' | '.join(cells)} |"


def is_of(found: Result, preset: str, data: str) -> bool:
    """Whether a result is that of a preset on a data set."""
    return found["preset"] == preset and found.get("data", MNIST) == data


if __name__ == "__main__":
    main()
