"""Measure how often `vaeline monitor` raises a false alarm, and how soon it detects a drift, on simulated windows.

python benchmarks/drift                 uses the model on disk and its validation rows; writes benchmarks/drift/table.md
python benchmarks/drift --clean 20 --drifted 4 --out try      a short trial

All validation images are scored once under each drift (benchmarks/drift/scores), and windows are drawn from the scores.
The exit status is 1 unless at most 5 % of clean stretches of n windows trigger, and each drift of default strength
triggers within n windows of monitor.window_rows in at least 19 of 20 stretches.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from drift.bank import CLEAN, scored_bank
from drift.table import keeps_its_promise, write_table
from drift.trials import Cell, run_cells

from vaeline.compute import fix_threads
from vaeline.params.whole import read_params

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
SIZES = (200, 500, 1000)
STRENGTHS = {
    "rotated": (2.0, 5.0, 10.0, 20.0),
    "thicker": (0.05, 0.1, 0.2, 0.7),
    "class_mix": (0.05, 0.1, 0.2, 0.3),
    "noisy": (0.002, 0.005, 0.01, 0.2),
    "poisoned": (0.02, 0.05, 0.1, 0.3),
}


def main() -> None:
    options = parse_options()
    params = read_params(ROOT / "params.yaml")
    fix_threads(params.compute.threads)
    bank = scored_bank(options.model, options.data, STRENGTHS, params.monitor.seed, HERE / "scores")
    clean = [(Cell(CLEAN, 0.0, rows), options.clean) for rows in SIZES]
    clean.append((Cell(CLEAN, 0.0, params.monitor.window_rows, labelled=False), options.clean))
    drifts = [(kind, strength) for kind, strengths in STRENGTHS.items() for strength in strengths]
    drifted = [(Cell(kind, strength, rows), options.drifted) for kind, strength in drifts for rows in SIZES]
    outcomes = run_cells(bank, clean + drifted, params.monitor, options.workers)
    results = {cell: found for (cell, _), found in zip(clean + drifted, outcomes, strict=True)}
    write_table(options.out / "table.md", results, SIZES, drifts, params.monitor)
    print((options.out / "table.md").read_text(encoding="utf-8"))
    if not keeps_its_promise(results, params.monitor):
        sys.exit("the monitor does not keep its promise with these parameters")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models/vae.keras", help="the champion's archive")
    parser.add_argument("--data", type=Path, default=ROOT / "data/prepared", help="prepared data")
    parser.add_argument("--clean", type=int, default=120, help="stretches of n clean windows of each size")
    parser.add_argument("--drifted", type=int, default=10, help="stretches of n windows of each drift and size")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, default=HERE, help="where table.md goes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
