"""A store that was lost while a training ran, seen from the files that the training left."""

import pytest
from pipeline.workspace import Workspace

from vaeline.tracking.runs import DIGEST_TAG


@pytest.fixture
def orphaned(branch_off: Workspace) -> Workspace:
    """A finished workspace whose run never heard the end of its training."""
    client, (run,) = branch_off.client(), branch_off.runs()
    client.delete_tag(run.info.run_id, DIGEST_TAG)
    client.update_run(run.info.run_id, status="RUNNING")
    return branch_off


def test_a_run_that_lost_the_store_is_finished_not_doubled(orphaned):
    orphaned.run("vaeline", "track", "sync")
    (run,) = orphaned.runs()
    assert run.info.status == "FINISHED"
    assert run.data.tags[DIGEST_TAG] == orphaned.json("reports/registration.json")["model_sha256"]


def test_figures_of_another_model_are_not_mistaken_for_its_own(orphaned):
    before = orphaned.runs()[0].data.metrics["test/nll"]
    (orphaned.root / "reports/metrics.json").write_text('{"test": {"nll": 1.0}, "per_class": {}}')
    orphaned.run("vaeline", "track", "sync")
    assert orphaned.runs()[0].data.metrics["test/nll"] == before
