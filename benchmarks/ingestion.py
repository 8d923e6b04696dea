"""Measure how often `vaeline ingest` refuses clean, drifted and poisoned batches of several sizes.

python benchmarks/ingestion.py      writes benchmarks/ingestion.md; needs data/prepared
"""

import tempfile
from pathlib import Path

import numpy as np
from scipy.stats import binomtest
from tqdm import tqdm

from vaeline.artifacts import atomic_file
from vaeline.data.accepted import Rows
from vaeline.data.prepared import Split, read_prepared
from vaeline.ingestion.ingest import Rules, check
from vaeline.ingestion.simulation import KINDS, simulate
from vaeline.params.whole import read_params
from vaeline.validation.profile import profile_path, read_profile

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "benchmarks/ingestion.md"
SIZES = (50, 200, 1000)
TRIALS = {"clean": 40}
FEWER = 5
HEAD = """\
The share of batches that `vaeline ingest` refuses, in percent. There are {clean} clean batches of each size, drawn with
their labels from the 5,000 validation images of MNIST, and {drifted} of each other kind, with the default strength of
`vaeline simulate`. Brackets hold the 95 % interval (Clopper and Pearson). Made by `python benchmarks/ingestion.py`.

| batch | {sizes} |
|---|{rules}
"""


def main() -> None:
    params = read_params(ROOT / "params.yaml")
    prepared = read_prepared(ROOT / "data/prepared")
    profile = read_profile(profile_path(params.validate_.profile, params.data.name))
    rules = Rules(prepared, profile, params.ingest.false_alarms, "benchmark")
    cells = [(kind, rows) for kind in KINDS for rows in SIZES]
    refused = {cell: refusals(rules, *cell) for cell in tqdm(cells, disable=None)}
    lines = []
    for kind in KINDS:
        shares = [share(refused[kind, rows], TRIALS.get(kind, FEWER)) for rows in SIZES]
        lines.append(f"| `{kind}` | {' | '.join(shares)} |")
    sizes = " | ".join(f"{rows:,} images" for rows in SIZES)
    head = HEAD.format(clean=TRIALS["clean"], drifted=FEWER, sizes=sizes, rules="---|" * len(SIZES))
    with atomic_file(TABLE) as temporary:
        temporary.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    print(TABLE.read_text(encoding="utf-8"))


def refusals(rules: Rules, kind: str, rows: int) -> int:
    """The number of refused batches of a kind."""
    pool = rules.prepared.splits["validation"]
    with tempfile.TemporaryDirectory() as scratch:
        return sum(is_refused(rules, pool, kind, rows, seed, Path(scratch)) for seed in range(TRIALS.get(kind, FEWER)))


def is_refused(rules: Rules, pool: Split, kind: str, rows: int, seed: int, scratch: Path) -> bool:
    batch = simulate(kind, pool.images, pool.labels, rows, seed)
    return not check(Rows(batch.images, batch.labels, np.arange(rows)), rules, scratch / "docs").passed


def share(count: int, trials: int) -> str:
    """A share in percent with its interval."""
    interval = binomtest(count, trials).proportion_ci(method="exact")
    return f"{100 * count / trials:.0f} [{100 * interval.low:.0f}, {100 * interval.high:.0f}]"


if __name__ == "__main__":
    main()
