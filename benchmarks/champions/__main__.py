"""Play the life of a champion on the real MNIST: A, a better B, a collapsed C, back to A, and A with another seed.

python benchmarks/champions      trains four models of the default preset's size; writes benchmarks/champions/table.md

It runs in a clone of the last commit. The data come from this repository's DVC cache. The clone has its own store and
cache, so every model is trained from the start.
"""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from champions.story import AGAIN, DVC, B, C, Place, Scene, tell, write_table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHANGES = {
    B: {"model.latent_dim": 5},
    C: {"model.beta": 50.0, "train.min_kl": 0.0},
    AGAIN: {"train.seed": 2},
}
HEAD = """\
The life of a champion on the real MNIST, command by command, in one clone of the commit `{commit}`. A is the default
preset. B, C and the second A differ from it as the table says. The thresholds are those of `params.yaml`. Made by
`python benchmarks/champions` in {minutes:.0f} minutes on {cpus} CPUs.
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch) / "vaeline"
        place = Place(clone, environment(), CHANGES)
        Place(ROOT, place.environment, {}).run("git", "clone", "--quiet", str(ROOT), str(clone))
        commit, _ = place.run("git", "rev-parse", "--short", "HEAD")
        place.run(*DVC, "cache", "dir", "--local", str(ROOT / ".dvc/cache"))
        place.run(*DVC, "repro", "classify")
        place.run(*DVC, "cache", "dir", "--local", "--unset")
        story = tell(place, announce)
    minutes = sum(scene.seconds for scene in story.scenes) / 60
    write_table(HERE / "table.md", story, HEAD.format(commit=commit.strip(), minutes=minutes, cpus=os.cpu_count()))


def environment() -> dict[str, str]:
    """This process's environment, without variables that point to places outside the clone."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "DVC_", "GIT_"))}
    quiet = {"DVC_NO_ANALYTICS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "TF_CPP_MIN_LOG_LEVEL": "2"}
    return kept | quiet | {"PYTHONPATH": "src"}


def announce(scene: Scene) -> None:
    print(f"{scene.seconds:7.1f} s  {scene.command}: {scene.outcome}", flush=True)


if __name__ == "__main__":
    main()
