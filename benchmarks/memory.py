"""Measure the memory that each part of an evaluation takes, for two numbers of test pictures of 128 × 128 × 3.

    python benchmarks/memory.py [COUNT ...]      default: 500 3000; prints a page like benchmarks/memory.md

Each count runs in its own process, with as many training pictures as test pictures. Their files are sparse: all
pictures but the first ones are black, so that they take no space on the disk. The network is small and untrained, and
what costs time without more pictures (draws of the NLL, samples, restorations) is measured on few.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

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
COUNTS = (500, 3000)
SPEC = ImageSpec(height=128, width=128, channels=3)
CLASSES = ["first", "second"]
NOT_BLACK = 200
NETWORK = {"architecture": "resconv", "width": 4, "depth": 1, "latent_dim": 16, "likelihood": "discretized_logistic"}
FEW = {"nll_images": 50, "nll_samples": 5, "samples": 200, "restoration_images": 20, "reference_images": 500}
NO_DIGEST = "0" * 64
SAMPLED_EVERY = 0.02  # seconds
PAGE = """\
The highest memory of each part of an evaluation, in MiB, by the number of test pictures of 128 × 128 × 3. As floats,
3,000 such pictures are 563 MiB, and 200,000 are 37,500 MiB. There are as many training pictures. The network is small
(`resconv`, width 4, 16 latents) and untrained. Measured on few: 50 images and 5 draws for the bound of the NLL, 200
samples, 20 restorations, 500 images of the reference. Made by `python benchmarks/memory.py`.

The memory is that of the process alone (`RssAnon`). The mapped files of the pictures are left out: the system reads
them as they are used, and drops them when it needs memory.

"""


def main() -> None:
    counts = [int(text) for text in sys.argv[1:]] or list(COUNTS)
    found = {}
    for count in counts:
        command = [sys.executable, __file__, "--measure", str(count)]
        found[count] = json.loads(subprocess.check_output(command, text=True, cwd=ROOT).splitlines()[-1])
        print(count, found[count], flush=True)
    print(page(found))


def page(found: dict[int, dict[str, float]]) -> str:
    """The page: the peak of each part by the number of pictures."""
    heads = " | ".join(f"{count:,} pictures" for count in found)
    parts = next(iter(found.values()))
    lines = [f"| {part} | {' | '.join(f'{peaks[part]:,.0f}' for peaks in found.values())} |" for part in parts]
    return PAGE + f"| part | {heads} |\n|---|{'---|' * len(found)}\n" + "\n".join(lines) + "\n"


class Peak:
    """The highest anonymous memory of this process since it was last asked for, in MiB."""

    def __init__(self) -> None:
        self.highest = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def take(self) -> float:
        """The peak; a new one begins."""
        highest, self.highest = self.highest, 0.0
        return round(highest, 1)

    def _watch(self) -> None:
        while True:
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
    splits = {}
    for name in SPLITS:
        rows = NOT_BLACK if name == "validation" else count
        images = np.lib.format.open_memmap(folder / f"{name}_images.npy", "w+", "uint8", (rows, *SPEC.shape))
        images[:NOT_BLACK] = rng.integers(0, 256, (min(NOT_BLACK, rows), *SPEC.shape), dtype="uint8")
        np.save(folder / f"{name}_labels.npy", (np.arange(rows) % len(CLASSES)).astype("uint8"))
        np.save(folder / f"{name}_indices.npy", np.arange(rows))
        splits[name] = {"rows": rows}
    about = {"name": "sparse", "title": "Sparse", "classes": CLASSES, "image": SPEC.model_dump(), "splits": splits}
    write_json(folder / "manifest.json", about)


def measure(count: int) -> dict[str, float]:
    """The peaks of the parts of an evaluation, in their order."""
    params, peak, peaks = read_params(), Peak(), {}
    fix_threads(params.compute.threads)
    settings = params.evaluate.model_copy(update=FEW)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_sparse(folder, count)
        subject = Subject(untrained(params, folder), read_prepared(folder), settings.seed)
        peak.take()
        write_reference_of(subject, NO_DIGEST, settings.reference_images, folder / "reference.json")
        densities = read_reference(folder / "reference.json").densities
        peaks["latent reference"] = peak.take()
        classifier = Classifier(image=SPEC, classes=len(CLASSES), width=params.classify.width)
        inputs = Inputs(subject, settings, classifier, NO_DIGEST, params.classify, densities, {})
        measured: dict[str, Measured] = {}
        for group in all_groups():
            if group.applies(subject):
                measured[group.name] = group.measure(replace(inputs, earlier=measured))
                peaks[f"group `{group.name}`"] = peak.take()
    return peaks


def untrained(params: Params, folder: Path) -> GenerativeModel:
    """A small model, initialized from the training pictures."""
    train = read_prepared(folder).splits["train"]
    model = build_model(params.model.model_copy(update=NETWORK), SPEC, len(CLASSES), 1)
    model.initialize(train.images, train.labels)
    return model


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(int(sys.argv[2]))))
    else:
        main()
