"""Measure the cost of the importance-weighted bound: minutes for 10,000 images and peak memory, by network and k.

For dense networks, which are compiled, the time without compiling is measured too.

python benchmarks/nll.py      writes benchmarks/nll.md; each measurement runs in its own process
"""

import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from vaeline.artifacts import atomic_file
from vaeline.compute import fix_threads
from vaeline.data.sources import MNIST_IMAGE
from vaeline.likelihood import bounds
from vaeline.models.vae import VAE
from vaeline.params.whole import read_params

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "nll.md"
NETWORKS = {"mlp": 20, "resmlp": 2, "conv": 2}
SAMPLES = (50, 500, 5000)
DECODED = {"mlp": 200_000, "resmlp": 200_000, "conv": 20_000}
AS_USUAL, OP_BY_OP = "as usual", "op by op"
HEAD = """\
The cost of the importance-weighted bound on 2 threads: minutes for 10,000 images (extrapolated from a part of them),
and peak memory of the whole process. Compiling is included. Weights are random, because the cost does not depend on
them. Made by `python benchmarks/nll.py`.

| network | latents | k | minutes for 10,000 images | time ÷ op by op | peak memory, MiB | memory ÷ k = 50 |
|---|---|---|---|---|---|---|
"""


def main() -> None:
    if sys.argv[1:]:
        network, samples, way = sys.argv[1:]
        print(json.dumps(measure(network, int(samples), way)))
        return
    rows = []
    for network, latent_dim in NETWORKS.items():
        base = None
        for samples in SAMPLES:
            found = in_a_process(network, samples, AS_USUAL)
            ratio = found["minutes"] / in_a_process(network, samples, OP_BY_OP)["minutes"] if network != "conv" else 1
            base = base or found["mebibytes"]
            cells = [
                network,
                latent_dim,
                samples,
                f"{found['minutes']:.1f}",
                f"{ratio:.2f}",
                f"{found['mebibytes']:.0f}",
            ]
            rows.append(f"| {' | '.join(map(str, cells))} | {found['mebibytes'] / base:.2f} |")
            print(rows[-1], flush=True)
    with atomic_file(RESULT) as temporary:
        temporary.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")


def in_a_process(*arguments: object) -> dict[str, float]:
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(network: str, samples: int, way: str) -> dict[str, float]:
    if way == OP_BY_OP:
        bounds.ROWS_WORTH_COMPILING = math.inf
    params = read_params(ROOT / "params.yaml")
    fix_threads(2)
    settings = params.model.model_dump() | {"architecture": network, "latent_dim": NETWORKS[network]}
    model = VAE(settings, MNIST_IMAGE, seed=1)
    count = DECODED[network] // samples
    images = np.random.default_rng(1).random((count, *MNIST_IMAGE.shape), dtype="float32")
    bounds.importance_weighted_nll(model, images[:1], np.arange(1), samples, 1)
    began = time.perf_counter()
    bounds.importance_weighted_nll(model, images, np.arange(count), samples, 1)
    minutes = (time.perf_counter() - began) / 60 * 10_000 / count
    return {"minutes": minutes, "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


if __name__ == "__main__":
    main()
