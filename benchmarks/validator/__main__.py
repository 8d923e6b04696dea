"""Corrupt clean images in many ways, and find the least strength that the validation catches.

    python benchmarks/validator --mnist FOLDER --fashion FOLDER     writes benchmarks/validator/table.md

FOLDER holds the four files of the data set. The colour pictures are drawn. `--tries` is the number of clean parts of
each size that must raise no alarm; the exit status is 1 if one does.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from validator.corruptions import CORRUPTIONS
from validator.sets import make_set, paint_pictures, profile_of, read_drawings
from validator.table import write_table
from validator.trials import alarms, run_trials

from vaeline.data.prepared import Split
from vaeline.validation.profile import read_profile

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
ROWS, PAINTED = 6000, 4000
SIZES = (300, 1000, 3000)


def main() -> None:
    options = parse_options()
    mnist, fashion = read_drawings(options.mnist), read_drawings(options.fashion)
    pictures = paint_pictures(PAINTED, 1)
    noise = paint_pictures(PAINTED, 2)[0][:, ::-1, :, ::-1] // 2
    sets = [
        make_set("MNIST", *mnist, ROWS, 1, fashion[0][:1000]),
        make_set("Fashion-MNIST", *fashion, ROWS, 1, mnist[0][:1000]),
        make_set("pictures", *pictures, PAINTED, 1, noise),
    ]
    whole = {"all": Split(*pictures, np.arange(PAINTED))}
    sources: dict[str, tuple] = {
        "MNIST": (*mnist, read_profile(ROOT / "data/profiles/mnist.yaml")),
        "Fashion-MNIST": (*fashion, read_profile(ROOT / "data/profiles/fashion_mnist.yaml")),
        "pictures": (*pictures, profile_of(whole, "pictures")),
    }
    false = {
        (name, rows): alarms(images, labels, profile, rows, options.tries)
        for name, (images, labels, profile) in sources.items()
        for rows in SIZES
    }
    outcomes = run_trials(sets, CORRUPTIONS)
    write_table(options.out / "table.md", outcomes, false, [data.name for data in sets], options.tries)
    print((options.out / "table.md").read_text(encoding="utf-8"))
    if any(false.values()):
        sys.exit("clean images raised an alarm")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, required=True, help="the folder of MNIST's four files")
    parser.add_argument("--fashion", type=Path, required=True, help="the folder of Fashion-MNIST's four files")
    parser.add_argument("--tries", type=int, default=100, help="clean parts of each size")
    parser.add_argument("--out", type=Path, default=HERE, help="where table.md goes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
