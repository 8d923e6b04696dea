"""The folder of results: one file for each piece of the input, written in one step, and the plan that names them."""

import io
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from vaeline.artifacts import atomic_file, canonical_json
from vaeline.errors import VaelineError
from vaeline.ingestion.arrivals import in_a_sentence, open_uri
from vaeline.scoring.score import REASON, VERDICT

PLAN, PART, DONE = "_plan.json", "part-{:07}.parquet", "_summary.json"  # readers of Parquet folders skip names with _
MODEL, LISTING = "_model.keras", "_inputs.parquet"
OBJECT_STORES = ("s3://", "gs://", "abfs://")  # a file appears whole


@dataclass(frozen=True)
class Outputs:
    """A folder, on this machine or at a URI that fsspec knows; a path is from the folder in which this is made."""

    target: str

    def __post_init__(self):
        if "://" not in self.target:  # else another process could take the path from its own folder
            object.__setattr__(self, "target", str(Path(self.target).resolve()))

    def begin(self, plan: Mapping[str, Any]) -> None:
        """Write the plan into an empty folder, or check that the folder has this plan.

        Raises:
            VaelineError: the folder has another plan or other files, or cannot be written.
        """
        with in_a_sentence(f"{self.target}: cannot be written"):
            files = self._names()
            if PLAN in files:
                known = json.loads(self.read(PLAN))
                if known != json.loads(canonical_json(plan)):
                    differing = sorted(key for key in {*known, *plan} if known.get(key) != plan.get(key))
                    raise VaelineError(
                        f"{self.target}: has scores of another {', '.join(differing)}; choose another folder"
                    )
            elif files:
                raise VaelineError(f"{self.target}: has other files, such as {min(files)}; choose an empty folder")
            else:
                self.write(PLAN, canonical_json(plan).encode())

    def missing(self, pieces: int) -> list[int]:
        """The pieces that have no file."""
        names = self._names()
        return [piece for piece in range(pieces) if PART.format(piece) not in names]

    def count(self, pieces: int) -> dict[str, int]:
        """How many rows the pieces have, how many of them could not be read, and how many are anomalous."""
        filesystem, folder = open_uri(self.target)
        totals = dict.fromkeys(("written", "unreadable", "anomalous"), 0)
        for piece in range(pieces):
            with filesystem.open(f"{folder}/{PART.format(piece)}", "rb") as stream:
                table = pq.read_table(stream, columns=[VERDICT, REASON])
            totals["written"] += len(table)
            totals["unreadable"] += len(table) - table[REASON].null_count
            totals["anomalous"] += pc.call_function("sum", [table[VERDICT].cast("int64")]).as_py() or 0
        return totals

    def write_piece(self, piece: int, table: pa.Table) -> None:
        """Write the rows of a piece, replacing an earlier file of it."""
        stream = io.BytesIO()
        pq.write_table(table, stream)
        self.write(PART.format(piece), stream.getvalue())

    def read(self, name: str) -> bytes:
        """The content of a file."""
        filesystem, folder = open_uri(self.target)
        return filesystem.cat_file(f"{folder}/{name}")

    def write(self, name: str, content: bytes) -> None:
        """Write a file so that it is there whole, or not at all."""
        filesystem, folder = open_uri(self.target)
        path = f"{folder}/{name}"
        if isinstance(filesystem, LocalFileSystem):
            with atomic_file(Path(path)) as temporary:
                temporary.write_bytes(content)
        elif filesystem.unstrip_protocol(path).startswith(OBJECT_STORES):
            filesystem.pipe_file(path, content)
        else:
            temporary = f"{folder}/.{name}.{secrets.token_hex(4)}"
            filesystem.pipe_file(temporary, content)
            filesystem.mv(temporary, path)

    def _names(self) -> set[str]:
        filesystem, folder = open_uri(self.target)
        filesystem.invalidate_cache()
        found = filesystem.ls(folder, detail=False) if filesystem.exists(folder) else []
        return {name for name in (PurePosixPath(path).name for path in found) if not name.startswith(".")}
