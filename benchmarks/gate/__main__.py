"""Measure how often the gate errs: on seeds of one configuration, and on models that are better by a known amount.

python benchmarks/gate      ten seeds of the default preset; seeds in benchmarks/gate/scores are not trained again
python benchmarks/gate --seeds 12 --preset mlp-20d --out mlp-20d
python benchmarks/gate --seeds 4 --set train.epochs=1 model.width=32 --out try      a short trial

Writes seeds.json (the mean of each seed, and the min_gain and slice_margin that follow from their spread) and table.md
(the gate's rule with the thresholds of params.yaml, on pairs of these seeds).

The exit status is 1 unless at most 5 % of equal models are promoted, and at least 90 % of models that are better by
min_gain + 0.5.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gate.calibration import calibrate, keeps_its_promise, write_table
from gate.seeds import trained_seeds, write_seeds
from ruamel.yaml import YAML

from vaeline.compute import fix_threads
from vaeline.params.base import flatten
from vaeline.params.whole import Params, parse_params, read_params
from vaeline.thresholds.seeds import spread

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


def main() -> None:
    options = parse_options()
    params = preset_params(options.preset, options.set)
    fix_threads(params.compute.threads)
    scores = trained_seeds(params, options.data, range(1, options.seeds + 1), options.out / "scores")
    found = spread(scores, params.gate)
    write_seeds(options.out / "seeds.json", options.preset, params, scores, found)
    gate = params.gate
    print(f"{options.preset}, {len(scores.seeds)} seeds: {gate.metric} {found.mean:.3f} ± {found.deviation:.3f}")
    print(f"suggested gate.min_gain and gate.margin: {found.min_gain:.2f} (now {gate.min_gain}, {gate.margin})")
    print(f"suggested gate.slice_margin: {found.slice_margin:.2f} (now {gate.slice_margin})", flush=True)
    rows = calibrate(scores, gate, options.pairs)
    write_table(options.out / "table.md", rows, scores, gate, found)
    print((options.out / "table.md").read_text(encoding="utf-8"))
    if not keeps_its_promise(rows):
        sys.exit("the gate does not keep its promise with these thresholds")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="number of trainings, with the seeds 1, 2, …")
    parser.add_argument("--preset", default="default", help="the configuration")
    parser.add_argument("--data", type=Path, default=ROOT / "data/prepared", help="prepared data")
    parser.add_argument("--pairs", type=int, default=360, help="the least number of trials")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for scores, seeds.json and table.md")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="KEY=VALUE", help="changed parameters, for a short trial"
    )
    return parser.parse_args()


def preset_params(preset: str, changes: list[str]) -> Params:
    """params.yaml with a preset of the model, on top of the default preset, and with changes `key=value`."""
    yaml = YAML(typ="safe")
    values = flatten(read_params(ROOT / "params.yaml").model_dump(by_alias=True))
    for name in ("default", preset):
        values |= flatten(yaml.load((ROOT / f"presets/{name}.yaml").read_text(encoding="utf-8")))
    values |= {key: yaml.load(value) for key, _, value in (change.partition("=") for change in changes)}
    nested: dict = {}
    for dotted, value in values.items():
        *parents, key = dotted.split(".")
        section = nested
        for parent in parents:
            section = section.setdefault(parent, {})
        section[key] = value
    return parse_params(nested)


if __name__ == "__main__":
    main()
