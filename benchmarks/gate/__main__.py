"""How often the gate errs: seeds of one configuration against each other, and models that are better by a known amount.

python benchmarks/gate      ten seeds of the default preset; those in benchmarks/gate/scores are not trained again
python benchmarks/gate --seeds 12 --preset mlp-20d --out mlp-20d
python benchmarks/gate --seeds 4 --set train.epochs=1 model.width=32 --out try      to see it work

Writes seeds.json (every seed's mean, and which min_gain and slice_margin follow from their spread) and table.md (the
gate's rule, with the thresholds of params.yaml, on pairs of these seeds).

Ends with status 1 where the table misses what the gate promises: at most 5 % of equal configurations promoted, at least
90 % of those that are better by min_gain + 0.5.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gate.calibration import calibrate, keeps_its_promise, write_table
from gate.seeds import spread, trained_seeds, write_seeds
from ruamel.yaml import YAML

from vaeline.compute import fix_threads
from vaeline.params.base import flatten
from vaeline.params.whole import Params, parse_params, read_params

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
    parser.add_argument("--seeds", type=int, default=10, help="how many trainings, of the seeds 1, 2, …")
    parser.add_argument("--preset", default="default", help="whose configuration")
    parser.add_argument("--data", type=Path, default=ROOT / "data/prepared", help="prepared data")
    parser.add_argument("--pairs", type=int, default=360, help="at least as many trials")
    parser.add_argument("--out", type=Path, default=HERE, help="where scores, seeds.json and table.md go")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="other parameters, to try it")
    return parser.parse_args()


def preset_params(preset: str, changes: list[str]) -> Params:
    """params.yaml with a preset of the model, which starts from the default one, and changes `key=value`."""
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
