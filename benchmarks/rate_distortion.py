"""Measure the effect of β: rate and distortion of one network that is trained with six values of β.

python benchmarks/rate_distortion.py      writes benchmarks/rate_distortion.md and docs/pictures/rate_distortion.png
"""

import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent))

from quality.trainings import ROOT, result

from vaeline.artifacts import atomic_file
from vaeline.figures.canvas import save_figure
from vaeline.likelihood.figure import draw_rate_distortion

PRESET, EPOCHS = "mlp-20d", 30
BETAS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
RESULTS = ROOT / "benchmarks/rate_distortion"
TABLE = ROOT / "benchmarks/rate_distortion.md"
FIGURE = ROOT / "docs/pictures/rate_distortion.png"
HEAD = f"""\
`{PRESET}`, {EPOCHS} epochs, trained on reconstruction + β · KL. 10,000 test images of MNIST, nats per image, one
seed; −ELBO with β = 1; Fréchet distance of samples from N(0, I). Made by `python benchmarks/rate_distortion.py`.

| β | rate (KL) | distortion (reconstruction) | −ELBO | active units | MSE | kNN, % | Fréchet |
|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    lines, points = [], []
    for beta in BETAS:
        changes = {"model.beta": beta, "train.epochs": EPOCHS}
        metrics = result(PRESET, changes, RESULTS / f"beta-{beta:g}.json")["metrics"]
        test, latents, samples = metrics["test"], metrics["latents"], metrics["samples"]
        points.append({"beta": beta, "rate": test["kl"], "distortion": test["reconstruction"]})
        figures = [f"{test[name]:.2f}" for name in ("kl", "reconstruction", "neg_elbo")]
        others = [f"{test['mse']:.4f}", f"{100 * latents['knn_accuracy']:.1f}", f"{samples['frechet']:.0f}"]
        lines.append(f"| {' | '.join([f'{beta:g}', *figures, str(test['active_units']), *others])} |")
    with atomic_file(TABLE) as temporary:
        temporary.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    title = f"MNIST: rate and distortion by β ({PRESET}, test set)"
    save_figure(draw_rate_distortion(pd.DataFrame(points), title), FIGURE)
    print(TABLE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
