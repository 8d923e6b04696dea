"""Every preset on real MNIST, each in a clone of its own: quality, minutes and size as one table.

python benchmarks/presets.py [PRESET ...]      writes benchmarks/presets.md
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import mlflow

from vaeline.artifacts import atomic_file
from vaeline.models.archive import load_model

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "presets.md"
HEAD = """\
MNIST, 10,000 test images, nats per image (± standard error over images), one seed, grey pixels; NLL is exact (latent
grid) in 2-D and the importance-weighted bound with k = 100 above. Fit is the training alone, on {machine}.
Made by `python benchmarks/presets.py`.

| preset | −ELBO | reconstruction | KL | NLL | active units | parameters | fit, minutes |
|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    presets = sys.argv[1:] or sorted(file.stem for file in (ROOT / "presets").glob("*.yaml"))
    rows, machine = [], ""
    for preset in presets:
        with tempfile.TemporaryDirectory() as scratch:
            clone = Path(scratch) / "vaeline"
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
            subprocess.run([sys.executable, "-m", "vaeline.cli", "run", "--preset", preset], cwd=clone, check=True)
            row, machine = measure(preset, clone)
            rows.append(row)
    with atomic_file(RESULT) as temporary:
        temporary.write_text(HEAD.format(machine=machine) + "\n".join(rows) + "\n", encoding="utf-8")
    print(RESULT.read_text(encoding="utf-8"))


def measure(preset: str, clone: Path) -> tuple[str, str]:
    test = json.loads((clone / "reports/metrics.json").read_text(encoding="utf-8"))["test"]
    client = mlflow.MlflowClient(f"sqlite:///{clone}/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("vae-mnist").experiment_id])
    seconds = sum(metric.value for metric in client.get_metric_history(run.info.run_id, "train/epoch_seconds"))
    parameters = load_model(clone / "models/vae.keras").count_params()
    figures = [f"{test[name]:.2f} ± {test[f'{name}_se']:.2f}" for name in ("neg_elbo", "reconstruction", "kl", "nll")]
    cells = [f"`{preset}`", *figures, str(test["active_units"]), f"{parameters:,}", f"{seconds / 60:.1f}"]
    return f"| {' | '.join(cells)} |", run.data.tags["vaeline.machine"]


if __name__ == "__main__":
    main()
