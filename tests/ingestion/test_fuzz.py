"""Folders of mutated files are accepted, refused or known; nothing else happens, and nothing is left over."""

import io
import shutil

import numpy as np
from bad_input.test_data import SMALL
from bad_input.test_fuzz_files import EXAMPLES, mutated, mutations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from vaeline.data.accepted import ACCEPTED, BATCHES
from vaeline.ingestion import ingest as module
from vaeline.ingestion.arrivals import INCOMING, arrivals
from vaeline.ingestion.ingest import ACCEPTED as IS_ACCEPTED
from vaeline.ingestion.ingest import QUARANTINED, UNCHANGED, alone, ingest
from vaeline.ingestion.quarantine import QUARANTINE
from vaeline.validation.checkpoint import Verdict

NAMES = ("0/a.png", "1/b.png", "c.png", "x-images-idx3-ubyte", "x-labels-idx1-ubyte", "notes.txt", ".hidden", "2/d.gif")
quick = settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
files = st.dictionaries(st.sampled_from(NAMES), st.just([]) | mutations, min_size=0, max_size=4)


def valid(name: str) -> bytes:
    """A picture that depends on its name, or a small IDX file."""
    if "idx" in name:
        shape = (1, 28, 28) if "images" in name else (1,)
        head = bytes([0, 0, 8, len(shape)]) + b"".join(side.to_bytes(4, "big") for side in shape)
        return head + bytes(int(np.prod(shape)))
    stream = io.BytesIO()
    levels = np.random.default_rng(len(name) + ord(name[0])).integers(0, 256, (28, 28), dtype="uint8")
    Image.fromarray(levels).save(stream, "GIF" if name.endswith(".gif") else "PNG")
    return stream.getvalue()


def test_a_folder_of_mutated_files_is_accepted_or_refused(rules, place, monkeypatch):
    passed = Verdict("digits", 1, {}, [])
    monkeypatch.setattr(module, "check", lambda rows, rules, docs: passed)
    limited = module.Rules(rules.prepared, rules.profile, rules.false_alarms, rules.who, None, SMALL)

    @quick
    @given(files)
    def check(contents):
        batch = place / INCOMING / "batch"
        batch.mkdir()
        for name, changes in contents.items():
            (batch / name).parent.mkdir(exist_ok=True)
            (batch / name).write_bytes(mutated(valid(name), changes))
        with alone():
            (arrival,) = arrivals(str(INCOMING))
            outcome = ingest(arrival, limited)
        assert outcome.status in (IS_ACCEPTED, QUARANTINED, UNCHANGED)
        assert "\n" not in outcome.why
        records = list(ACCEPTED.glob("*.json"))
        refused = list(QUARANTINE.glob("*/report.json"))
        assert len(records) == (outcome.status == IS_ACCEPTED)
        assert len(refused) == (outcome.status == QUARANTINED)
        assert batch.exists() == (outcome.status != QUARANTINED)
        left = [path for path in place.rglob(".*-*") if ".vaeline" not in path.parts]
        assert not left
        for folder in (BATCHES, QUARANTINE, batch):
            shutil.rmtree(folder, ignore_errors=True)
        for record in records:
            record.unlink()

    check()
