"""The nodes of a lineage: versions, runs, files, moves and images, with their ids, labels and facts."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from vaeline.data.accepted import read_records, read_rows, rows_file
from vaeline.data.prepared import Prepared
from vaeline.data.sources import TEST_IMAGES, TRAIN_IMAGES
from vaeline.errors import VaelineError
from vaeline.images.digests import image_digest
from vaeline.images.idx import read_idx_images
from vaeline.images.types import ByteImages
from vaeline.outputs import PREPARED, RAW
from vaeline.provenance.graph import Node
from vaeline.provenance.subjects import ImageRow
from vaeline.registry.ledger import Entry, entry_digest
from vaeline.registry.names import SCHEME
from vaeline.registry.versions import uri_of
from vaeline.tracking.restore import RESTORED_FROM
from vaeline.tracking.runs import DIGEST_TAG, KEY_TAG, RESTORED

GATE = "vaeline.gate_"
MOVE_FACTS = ("at", "who", "from", "to", "reason", "gate_sha256", "commit", "ci_url")
RUN_FACTS = {
    "train key": KEY_TAG,
    "data set": "vaeline.dataset",
    "machine": "vaeline.machine",
    "processor": "vaeline.processor",
    "backend": "vaeline.backend",
    "python": "vaeline.python",
    "DVC experiment": "vaeline.dvc_experiment",
    "ended by": "vaeline.ended_by",
    "restored": RESTORED,
    "restored from": RESTORED_FROM,
}


def run_id(run: Run) -> str:
    """The id of a run's node."""
    return f"run:{run.info.run_id}"


def version_id(uri: str) -> str:
    """The id of the node of `models:/name/version`."""
    return f"version:{uri.removeprefix(SCHEME)}"


def file_id(md5: str) -> str:
    """The id of a file's node."""
    return f"file:{md5}"


def version_node(version: ModelVersion) -> Node:
    """A registered version, its aliases, and the gate's verdict on it."""
    name = "".join((f"{version.name}/{version.version}", *(f" @{alias}" for alias in version.aliases)))
    facts = {
        "registered": _when(version.creation_timestamp),
        "aliases": list(version.aliases),
        "gate": {tag.removeprefix(GATE): value for tag, value in version.tags.items() if tag.startswith(GATE)},
    }
    return Node(version_id(uri_of(version)), "version", name, version.tags.get(DIGEST_TAG, ""), known(facts))


def run_node(run: Run, scores: Mapping[str, float] | None = None) -> Node:
    """A run: its machine, its metrics, and its scores of one image, if there are any."""
    tags, metrics = run.data.tags, run.data.metrics
    facts = {
        "id": run.info.run_id,
        "status": run.info.status,
        "started": _when(run.info.start_time),
        **{name: tags.get(tag, "") for name, tag in RUN_FACTS.items()},
        "metrics": {name: metrics[name] for name in metrics if name.startswith("test/") and not name.endswith("_se")},
        "scores of the image": dict(scores or {}),
    }
    return Node(run_id(run), "run", str(run.info.run_name), tags.get(DIGEST_TAG, ""), known(facts))


def file_node(path: str, md5: str, facts: Mapping[str, Any] | None = None) -> Node:
    """A file or folder with DVC's md5."""
    return Node(file_id(md5), "data" if path.startswith("data/") else "file", path, md5, facts or {})


def move_node(entry: Entry, name: str) -> Node:
    """An entry of the ledger of the registered model `name`."""
    number, facts = entry["number"], known({key: entry.get(key) for key in MOVE_FACTS})
    return Node(f"move:{name}/{number}", "ledger", f"entry {number}, {entry['action']}", entry_digest(entry), facts)


def image_node(image: ImageRow, prepared: Prepared) -> Node:
    """The image, its label, and its row in the source. The pixels are compared with the source if that is on disk.

    Raises:
        VaelineError: the split has no such row.
    """
    split = prepared.splits.get(image.split)
    if split is None or image.row >= len(split.labels):
        rows = len(split.labels) if split else 0
        raise VaelineError(f"{PREPARED} has no image {image.split}/{image.row}: {image.split} has {rows:,} rows")
    pixels, label, row = split.images[image.row], int(split.labels[image.row]), int(split.indices[image.row])
    row, source, images = _source_of(image.split, row, prepared)
    facts = {
        "split": image.split,
        "row": image.row,
        "label": label,
        "class": prepared.classes[label],
        "source": f"row {row} of {source}",
        "as in the source": "" if images is None else _is_row(images, row, pixels),
    }
    sha256 = image_digest(pixels).hex()
    return Node(f"image:{image.split}/{image.row}", "image", f"{image.split}/{image.row}", sha256, known(facts))


def known(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that are not empty."""
    return {name: value for name, value in facts.items() if value not in ("", {}, [], None)}


def _source_of(split: str, row: int, prepared: Prepared) -> tuple[int, Path, ByteImages | None]:
    """The row and the file that a prepared row comes from (source or batch), and the file's images if it is on disk."""
    own_test_set = TEST_IMAGES in prepared.manifest.get("sha256", {})
    source = Path(RAW) / (TEST_IMAGES if split == "test" and own_test_set else TRAIN_IMAGES)
    for batch in prepared.manifest.get("batches", []) if split != "test" else []:
        if batch["first"] <= row < batch["first"] + batch["rows"]:
            file, records = rows_file(batch["id"]), read_records(prepared.manifest["dataset"])
            here = [read_rows(item).images for item in records if item["id"] == batch["id"] and file.is_file()]
            return row - batch["first"], file, here[0] if here else None
    return row, source, read_idx_images(source) if source.is_file() else None


def _is_row(images: ByteImages, row: int, pixels: UInt8[np.ndarray, "..."]) -> str:
    return "true" if row < len(images) and np.array_equal(images[row], pixels) else "false"


def _when(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
