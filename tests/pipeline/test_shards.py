"""The stages up to the training, with one shard for each split and with many."""

import pytest
from pipeline.workspace import copy_workspace, make_workspace

from vaeline.artifacts import digest
from vaeline.data.prepared import SHARD_BYTES

OUTPUTS = ("data/statistics.parquet", "reports/validation.json", "models/vae.keras", "reports/history.csv")


@pytest.mark.usefixtures("processes", "training")
def test_the_size_of_shards_changes_nothing_that_follows(tmp_path):
    one = make_workspace(tmp_path / "one")
    one.repro("train")
    many = copy_workspace(one, tmp_path, "many")
    code = many.root / "src/vaeline/data/prepared.py"
    written = code.read_text(encoding="utf-8")
    code.write_text(written.replace("SHARD_BYTES = 2**28", "SHARD_BYTES = 90_000"), encoding="utf-8")
    assert (SHARD_BYTES, code.read_text(encoding="utf-8") == written) == (2**28, False)
    for output in OUTPUTS:
        (many.root / output).unlink()
    many.repro("--force", "train")
    shards = {name: each.json("data/prepared/manifest.json")["shards"] for name, each in (("one", one), ("many", many))}
    assert {name: len(found["train_images"]) for name, found in shards.items()} == {"one": 1, "many": 13}
    for output in OUTPUTS:
        assert digest(one.root / output) == digest(many.root / output), output
