"""Play half a year on the real MNIST: weekly windows, new data, two drifts, poison, a worse model, a rollback.

python benchmarks/half_year      trains three models; writes table.md here and docs/pictures/half_year.png

It runs in a clone of the last commit, with its own store and cache. The clone starts with 25,000 training images. The
others are held back, and arrive as windows and batches (`vaeline simulate`).
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from champions.__main__ import environment
from champions.story import DVC, Place, commit
from half_year.picture import draw_year
from half_year.table import write_table
from half_year.year import Night, begin, live

from vaeline.params.whole import change_params

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PICTURE = ROOT / "docs/pictures/half_year.png"
CHANGES = {"data.hold_back": 30_000, "classify.epochs": 4, "retrain.promote": True}


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "windows").mkdir()
        clone = Path(scratch) / "vaeline"
        place = Place(clone, environment(), {})
        Place(ROOT, place.environment, {}).run("git", "clone", "--quiet", str(ROOT), str(clone))
        made_from, _ = place.run("git", "rev-parse", "--short", "HEAD")
        place.run(*DVC, "cache", "dir", "--local", str(ROOT / ".dvc/cache"))
        place.run(*DVC, "repro", "--single-item", "fetch")
        place.run(*DVC, "cache", "dir", "--local", "--unset")
        place.run(*DVC, "commit", "--force", "fetch")
        change_params(CHANGES, clone / "params.yaml")
        commit(place, "Begin with 25,000 images")
        beginning = begin(place)
        print(f"{beginning:7.1f} s  the first champion", flush=True)
        nights = live(place, announce)
        write_table(HERE / "table.md", nights, beginning, made_from.strip())
        draw_year(nights, PICTURE)


def announce(night: Night) -> None:
    said = night.retrain["sentence"]
    print(f"{night.seconds:7.1f} s  week {night.number}, {night.week.kind}: {night.monitored}; {said}", flush=True)


if __name__ == "__main__":
    main()
