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
MNIST, 10,000 test images, nats per image (± standard error over images), one seed. −ELBO on grey pixels; NLL on seeded
binary ones: exact (latent grid) in 2-D, else the importance-weighted bound with k = 500 on 1,000 images. kNN on z_mean;
Fréchet distance of 10,000 samples in the features of the pinned classifier (real images: {floor:.1f}); AUROC of the
−ELBO against mirrored test images. Fit is the training alone, on {machine}. Made by `python benchmarks/presets.py`.

| preset | −ELBO | reconstruction | KL | NLL | active units | kNN | Fréchet | h-flip AUROC | parameters | fit, minutes |
|---|---|---|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    presets = sys.argv[1:] or sorted(file.stem for file in (ROOT / "presets").glob("*.yaml"))
    rows, machine, floor = [], "", 0.0
    for preset in presets:
        with tempfile.TemporaryDirectory() as scratch:
            clone = Path(scratch) / "vaeline"
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
            subprocess.run([sys.executable, "-m", "vaeline.cli", "run", "--preset", preset], cwd=clone, check=True)
            row, machine, floor = measure(preset, clone)
            rows.append(row)
    with atomic_file(RESULT) as temporary:
        temporary.write_text(HEAD.format(machine=machine, floor=floor) + "\n".join(rows) + "\n", encoding="utf-8")
    print(RESULT.read_text(encoding="utf-8"))


def measure(preset: str, clone: Path) -> tuple[str, str, float]:
    metrics = json.loads((clone / "reports/metrics.json").read_text(encoding="utf-8"))
    test, samples = metrics["test"], metrics["samples"]
    client = mlflow.MlflowClient(f"sqlite:///{clone}/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("vae-mnist").experiment_id])
    seconds = sum(metric.value for metric in client.get_metric_history(run.info.run_id, "train/epoch_seconds"))
    parameters = load_model(clone / "models/vae.keras").count_params()
    figures = [f"{test[name]:.2f} ± {test[f'{name}_se']:.2f}" for name in ("neg_elbo", "reconstruction", "kl", "nll")]
    others = [
        f"{metrics['latents']['knn_accuracy']:.1%}",
        f"{samples['frechet']:.1f} ± {samples['frechet_se']:.1f}",
        f"{metrics['ood']['hflip']['neg_elbo']['auroc']:.3f}",
    ]
    cells = [f"`{preset}`", *figures, str(test["active_units"]), *others, f"{parameters:,}", f"{seconds / 60:.1f}"]
    return f"| {' | '.join(cells)} |", run.data.tags["vaeline.machine"], samples["floor_frechet"]


if __name__ == "__main__":
    main()
