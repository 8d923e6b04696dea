"""Score a large source by Ray Data: pieces of it in several processes or on several machines, each written once."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext
from ray.exceptions import RayError
from tqdm import tqdm

from vaeline.archive import save_archive
from vaeline.artifacts import canonical_json
from vaeline.cluster import connected
from vaeline.compute import use_device
from vaeline.errors import VaelineError
from vaeline.images.limits import Limit
from vaeline.models.archive import load_model
from vaeline.models.generative import GenerativeModel
from vaeline.params.compute import ComputeParams
from vaeline.scoring.inputs import Inputs, read_inputs
from vaeline.scoring.outputs import DONE, LISTING, MODEL, Outputs
from vaeline.scoring.score import Rules, Scorer

PIECE = "piece"


@dataclass(frozen=True)
class Places:
    """Where a source is scored.

    workers: processes. compute: what each computes with; its device is `cpu` or `gpu`. address: of a Ray cluster;
    empty for this machine alone.
    """

    workers: int
    compute: ComputeParams
    address: str = ""


def score_source(
    scorer: Scorer, inputs: Inputs, outputs: Outputs, rows_a_piece: int, places: Places, about: dict[str, Any]
) -> dict[str, Any]:
    """Write the scores of all inputs, and return the summary, which is written too.

    Each piece is one file, named by its number and written in one step. Therefore every input has exactly one row, also
    if processes were killed. A second start does the pieces that are missing.

    about: what else the results depend on, such as the digest of the model; a folder of results has one plan.

    Raises:
        VaelineError: the folder has another plan, or cannot be written; a process died too often.
    """
    plan = {
        "inputs": inputs.digest,
        "rows": len(inputs),
        "rows a piece": rows_a_piece,
        "seed": scorer.rules.seed,
        "score": scorer.rules.score,
        "threshold": scorer.rules.threshold,
        "invert": scorer.rules.invert,
        "latents": scorer.rules.latents,
        **about,
    }
    outputs.begin(plan)
    outputs.write(LISTING, inputs.as_bytes())
    outputs.write(MODEL, _archived(scorer.model))
    pieces = -(-len(inputs) // rows_a_piece)
    missing = outputs.missing(pieces)
    with tqdm(desc="scoring", unit="row", total=len(inputs), disable=None) as bar:
        bar.update(len(inputs) - sum(_size(piece, rows_a_piece, len(inputs)) for piece in missing))
        for found in _score_pieces(scorer.rules, inputs, outputs, rows_a_piece, missing, places):
            bar.update(_size(found, rows_a_piece, len(inputs)))
    if left := outputs.missing(pieces):
        raise VaelineError(f"{len(left)} of {pieces} pieces are missing; the same command does them")
    summary = plan | outputs.count(pieces)
    outputs.write(DONE, canonical_json(summary).encode())
    return summary


def _size(piece: int, rows_a_piece: int, rows: int) -> int:
    return min(rows, (piece + 1) * rows_a_piece) - piece * rows_a_piece


def _archived(model: GenerativeModel) -> bytes:
    with TemporaryDirectory() as scratch:
        save_archive(model, Path(scratch) / MODEL)
        return (Path(scratch) / MODEL).read_bytes()


def _score_pieces(
    rules: Rules, inputs: Inputs, outputs: Outputs, rows_a_piece: int, missing: list[int], places: Places
) -> Iterator[int]:
    """The pieces, each when its file is written. What processes need is small, or in files beside the results."""
    if not missing:
        return
    with connected(places.address, places.workers * places.compute.threads):
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        DataContext.get_current().enable_progress_bars = False
        work = ray.data.from_items([{PIECE: piece} for piece in missing], override_num_blocks=len(missing)).map(
            _Worker,
            fn_constructor_args=(rules, inputs.place, outputs, rows_a_piece, places.compute),
            compute=ActorPoolStrategy(size=places.workers),
            num_cpus=places.compute.threads,
            num_gpus=int(places.compute.device == "gpu"),
        )
        try:
            for row in work.iter_rows():
                yield row[PIECE]
        except RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise VaelineError(f"a process ended too often ({reason}); the same command does what is missing") from None


class _Worker:
    """A process that scores pieces; it reads the model once."""

    def __init__(
        self, rules: Rules, place: tuple[str, str, Limit], outputs: Outputs, rows_a_piece: int, compute: ComputeParams
    ):
        use_device(compute)
        with TemporaryDirectory() as scratch:
            archive = Path(scratch) / MODEL
            archive.write_bytes(outputs.read(MODEL))
            self.scorer = Scorer(load_model(archive), rules)
        self.inputs = read_inputs(outputs.read(LISTING), *place)
        self.outputs, self.rows_a_piece = outputs, rows_a_piece

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        start = int(row[PIECE]) * self.rows_a_piece
        table = self.scorer.table(self.inputs, start, min(start + self.rows_a_piece, len(self.inputs)))
        self.outputs.write_piece(int(row[PIECE]), table)
        return row
