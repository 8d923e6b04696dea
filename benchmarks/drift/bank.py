"""The champion's scores of all validation images, clean and under each drift; computed once and kept on disk."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vaeline.artifacts import atomic_file, digest
from vaeline.data.prepared import read_prepared
from vaeline.ingestion.simulation import foreign_pictures, noisy, rotated, thicker
from vaeline.models.archive import load_model
from vaeline.monitoring.scores import Observed, observe
from vaeline.scores import ELBO_PARTS

CLEAN, FOREIGN = "clean", "foreign"
Bank = Mapping[str, Observed]


def scored_bank(archive: Path, data: Path, strengths: Mapping[str, Sequence[float]], seed: int, folder: Path) -> Bank:
    """`Observed` of all validation rows by `clean`, `foreign` (other pictures instead of digits) and `kind-strength`.

    Scores that `folder` has for this model are not computed again.
    """
    split = read_prepared(data).splits["validation"]
    images, labels = split.images[:], split.labels.astype("int64")
    rng = np.random.default_rng(seed)
    makers = {CLEAN: lambda: images, FOREIGN: lambda: foreign_pictures(len(images), images.shape[1:], rng)}
    change = {
        "rotated": lambda strength: rotated(images, strength),
        "thicker": lambda strength: thicker(images, strength),
        "noisy": lambda strength: noisy(images, strength, np.random.default_rng(seed)),
    }
    for kind, make in change.items():
        makers |= {name_of(kind, strength): partial(make, strength) for strength in strengths[kind]}
    model, sha256 = load_model(archive), digest(archive)
    bank = {}
    for name, make in tqdm(makers.items(), desc="scoring", disable=None):
        file = folder / f"{sha256[:12]}-{name}.npz"
        if not file.is_file():
            _write(file, observe(model, make(), labels, seed))
        bank[name] = _read(file)
    return bank


def name_of(kind: str, strength: float) -> str:
    """The key in the bank for a kind of drift at a strength."""
    return f"{kind}-{strength:g}"


def _write(file: Path, found: Observed) -> None:
    with atomic_file(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, latents=found.latents, labels=found.labels, **found.scores)


def _read(file: Path) -> Observed:
    with np.load(file, allow_pickle=False) as archive:
        scores = {name: archive[name] for name in ELBO_PARTS if name in archive.files}
        return Observed(scores, archive["latents"], archive["labels"])
