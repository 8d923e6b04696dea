"""Measure the memory that each part of an evaluation takes, for two numbers of test pictures of 128 × 128 × 3.

    python benchmarks/memory.py [COUNT ...]            default: 500 3000; prints the first table of benchmarks/memory.md
    python benchmarks/memory.py --many [COUNT ...]     default: 2000 60000 200000; prints the second

Each count runs in its own process, with as many training pictures as test pictures. Their files are sparse: all
pictures but the first ones are black, so that they take no space on the disk. The network is small and untrained, and
what costs time without more pictures (draws of the NLL, samples, restorations) is measured on few. With `--many`, the
network is the smallest that there is, and `ood` has one kind of OOD images.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from vaeline.anomaly.measure import measure_anomalies
from vaeline.artifacts import write_json
from vaeline.classifier.network import Classifier
from vaeline.compute import fix_threads
from vaeline.data.prepared import SPLITS, read_prepared
from vaeline.evaluation.group import Inputs
from vaeline.evaluation.subject import Measured, Subject
from vaeline.groups import all_groups
from vaeline.images.spec import ImageSpec
from vaeline.latents.reference import read_reference, write_reference_of
from vaeline.models.build import build_model
from vaeline.models.generative import GenerativeModel
from vaeline.params.whole import Params, read_params

ROOT = Path(__file__).resolve().parent.parent
COUNTS, MANY = (500, 3000), (2000, 60_000, 200_000)
SPEC = ImageSpec(height=128, width=128, channels=3)
CLASSES = ["first", "second"]
NOT_BLACK = 200
NETWORK = {"architecture": "resconv", "width": 4, "depth": 1, "latent_dim": 16, "likelihood": "discretized_logistic"}
SMALLEST = {"architecture": "resmlp", "width": 4, "depth": 1, "latent_dim": 4, "likelihood": "mse"}
FEW = {"nll_images": 50, "nll_samples": 5, "samples": 200, "restoration_images": 20, "reference_images": 500}
NO_DIGEST = "0" * 64
SAMPLED_EVERY = 0.02  # seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("counts", type=int, nargs="*")
    parser.add_argument("--many", action="store_true")
    parser.add_argument("--measure", action="store_true", help="measure one count in this process")
    given = parser.parse_args()
    if given.measure:
        measure(given.counts[0], given.many)
        return
    mode = ["--many"] if given.many else []
    found = {}
    for count in given.counts or (MANY if given.many else COUNTS):
        command = [sys.executable, __file__, "--measure", str(count), *mode]
        lines = subprocess.check_output(command, text=True, cwd=ROOT).splitlines()
        found[count] = dict(json.loads(line) for line in lines if line.startswith("["))
        print(count, found[count], file=sys.stderr, flush=True)
    print(page(found))


def page(found: dict[int, dict[str, float]]) -> str:
    """The table of the page: the peak of each part by the number of pictures."""
    heads = " | ".join(f"{count:,} pictures" for count in found)
    parts = next(iter(found.values()))
    lines = [f"| {part} | {' | '.join(f'{peaks[part]:,.0f}' for peaks in found.values())} |" for part in parts]
    return f"| part | {heads} |\n|---|{'---|' * len(found)}\n" + "\n".join(lines) + "\n"


class Peak:
    """The highest anonymous memory of this process since it was last asked for, in MiB."""

    def __init__(self) -> None:
        self.highest, self._lock = 0.0, threading.Lock()
        threading.Thread(target=self._watch, daemon=True).start()

    def take(self) -> float:
        """The peak; a new one begins."""
        with self._lock:  # else the other thread could put a value from before back
            highest, self.highest = max(self.highest, anonymous()), 0.0
        return round(highest, 1)

    def _watch(self) -> None:
        while True:
            with self._lock:
                self.highest = max(self.highest, anonymous())
            time.sleep(SAMPLED_EVERY)


def anonymous() -> float:
    """The memory of this process that is not a mapped file, in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (kibibytes,) = (line.split()[1] for line in lines if line.startswith("RssAnon:"))
    return int(kibibytes) / 1024


def write_sparse(folder: Path, count: int) -> None:
    """Prepared data of `count` training and test pictures, of which only the first ones take space on the disk."""
    rng = np.random.default_rng(0)
    splits, shards = {}, {}
    for name in SPLITS:
        rows = NOT_BLACK if name == "validation" else count
        images = np.lib.format.open_memmap(folder / f"{name}_images-00000.npy", "w+", "uint8", (rows, *SPEC.shape))
        images[:NOT_BLACK] = rng.integers(0, 256, (min(NOT_BLACK, rows), *SPEC.shape), dtype="uint8")
        np.save(folder / f"{name}_labels.npy", (np.arange(rows) % len(CLASSES)).astype("uint8"))
        np.save(folder / f"{name}_indices.npy", np.arange(rows))
        splits[name] = {"rows": rows}
        shards[f"{name}_images"] = [{"rows": rows}]
    about = {"name": "sparse", "title": "Sparse", "classes": CLASSES, "image": SPEC.model_dump()}
    write_json(folder / "manifest.json", {**about, "splits": splits, "shards": shards})


def measure(count: int, many: bool) -> None:
    """Print the peak of each part of an evaluation, in their order, one JSON list [part, MiB] a line."""
    params, peak = read_params(), Peak()
    fix_threads(params.compute.threads)
    settings = params.evaluate.model_copy(update=FEW)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_sparse(folder, count)
        network, width = (SMALLEST, 1) if many else (NETWORK, params.classify.width)
        subject = Subject(untrained(params, network, folder), read_prepared(folder), settings.seed)
        peak.take()
        write_reference_of(subject, NO_DIGEST, settings.reference_images, folder / "reference.json")
        densities = read_reference(folder / "reference.json").densities
        say("latent reference", peak)
        classifier = Classifier(image=SPEC, classes=len(CLASSES), width=width)
        inputs = Inputs(subject, settings, classifier, NO_DIGEST, params.classify, densities, {})
        if many:
            measure_anomalies(subject, densities, {}, ["noise"])
            say("group `ood`, noise alone", peak)
        measured: dict[str, Measured] = {}
        for group in all_groups():
            if group.applies(subject) and not (many and group.name == "ood"):
                measured[group.name] = group.measure(replace(inputs, earlier=measured))
                say(f"group `{group.name}`", peak)


def say(part: str, peak: Peak) -> None:
    print(json.dumps([part, peak.take()]), flush=True)


def untrained(params: Params, network: dict[str, object], folder: Path) -> GenerativeModel:
    """A small model, initialized from the training pictures."""
    train = read_prepared(folder).splits["train"]
    model = build_model(params.model.model_copy(update=network), SPEC, len(CLASSES), 1)
    model.initialize(train.images, train.labels)
    return model


if __name__ == "__main__":
    main()
