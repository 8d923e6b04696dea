"""The life of a champion as the workflows lead it: retrain.yml, promote.yml and rollback.yml, run on this machine.

The steps are real, in a repository with a bare clone as `main` and a folder as DVC remote; the actions are stubs.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from pipeline.hub import AUTHOR, CANDIDATES, SERVED, Hub, copy_hub, copy_retrained, make_hub, open_hub, retrain_once
from pipeline.runner import Job
from pipeline.workspace import Workspace
from shared import made_once

from vaeline.data.image_sets import ImageSet
from vaeline.params.whole import read_params
from vaeline.retraining.due import judge, read_facts
from vaeline.retraining.record import TAG
from vaeline.tracking.runs import DIGEST_TAG


@pytest.fixture(scope="session")
def first_hub(finished: Workspace) -> Path:
    """The hub before the first night, to copy."""
    return made_once("hub", lambda folder: make_hub(folder, finished))


@pytest.fixture
def hub(first_hub: Path, tmp_path: Path) -> Hub:
    """A hub of one's own before the first night."""
    return copy_hub(first_hub, tmp_path / "hub")


@pytest.fixture
def retrained(first_hub: Path, digits: ImageSet, tmp_path: Path) -> tuple[Hub, dict[str, Job]]:
    """A hub of one's own after the night in which a new batch had come, and the jobs of that night."""

    def make(folder: Path) -> None:
        hub = copy_hub(first_hub, folder / "hub")
        images = np.roll(digits.images[:60], 1, axis=2)
        retrain_once(hub.folder, images, digits.labels[:60])

    return copy_retrained(made_once("retrained", make) / "hub", tmp_path / "hub")


def test_nothing_new_is_not_due(hub):
    jobs = hub.retrain()
    compute = jobs["compute"]
    assert "not due: data, code, parameters and dependencies are those of the champion's training" in compute.log
    assert "# Retraining: not due" in compute.summary
    assert compute.outputs == {"changed": "false"}
    assert jobs["propose"].result == "skipped"
    assert "the last successful training was" in jobs["alarm"].log
    assert "Running stage" not in compute.log


def test_drift_that_has_triggered_in_the_store_is_a_reason(hub, monkeypatch, tmp_path):
    """As `vaeline monitor` leaves it: a finished run of the experiment `monitoring` with the champion's digest."""
    monkeypatch.chdir(hub.clone("laptop").root)
    client, digest = hub.client, hub.client.get_model_version(SERVED, "1").tags[DIGEST_TAG]
    experiment = client.create_experiment("monitoring", (tmp_path / "monitoring").as_uri())
    for day, triggered in ((20, True), (21, False), (22, True)):
        verdict = {"champion": {"digest": digest}, "created": f"2036-11-{day}T00:00:00+00:00", "triggered": triggered}
        (tmp_path / "monitor.json").write_text(json.dumps(verdict))
        run = client.create_run(experiment, tags={"vaeline.champion_digest": digest}).info.run_id
        client.log_artifact(run, str(tmp_path / "monitor.json"))
        client.set_terminated(run)
        found = judge(read_facts(client, read_params()))
        assert [reason.kind for reason in found.reasons] == (["drift"] if triggered else [])


def test_a_poisoned_batch_is_quarantined_and_nothing_is_trained(hub, digits):
    hub.arrive("week-1.npz", 255 - digits.images[:240], digits.labels[:240])
    jobs = hub.retrain()
    assert jobs["compute"].outputs == {"changed": "false"}
    assert "- week-1.npz: " in jobs["compute"].summary.partition("New batches, quarantined")[2]
    assert list(hub.runner.artifacts["quarantine"].rglob("report.json"))
    assert jobs["propose"].result == "skipped"
    assert "Running stage" not in jobs["compute"].log
    assert len(Workspace(hub.folder).runs()) == 2, "a training, and the ledger"


def test_a_new_batch_is_trained_on_judged_and_proposed(first_hub, retrained):
    hub, jobs = retrained
    log = jobs["compute"].log
    assert "due: data changed since the champion's training: data/accepted" in log
    for stage in ("prepare", "train"):
        assert f"Running stage '{stage}'" in log
    assert "Running stage 'fetch'" not in log
    assert "# Retraining: candidate" in jobs["compute"].summary
    assert "| served | pass |" in jobs["compute"].summary
    assert jobs["propose"].result == "success"
    (pull,) = hub.runner.pulls
    assert (pull["branch"], pull["draft"]) == ("retrain", "always-true")
    assert "Candidate 2 waits: retrain.promote is false" in pull["body"]
    assert (hub.main(), hub.champion) == (open_hub(first_hub).main(), "1")
    changed = hub.runner.git("diff", "--name-only", "main", "retrain", cwd=hub.runner.origin).splitlines()
    assert {"dvc.lock", "reports/metrics.json"} <= set(changed)
    assert {Path(path).parent.as_posix() for path in changed} == {".", "reports", "data/accepted", "data/batches"}
    version = hub.client.get_model_version(CANDIDATES, "2")
    assert version.tags["vaeline.gate_verdict"] == "pass"
    assert TAG in hub.client.get_registered_model(CANDIDATES).tags


def test_a_second_clone_takes_the_results_of_the_first(retrained):
    hub, _ = retrained
    laptop = hub.clone("laptop", "retrain")
    settings = hub.settings
    laptop.run("sh", "scripts/verify_pipeline.sh", **settings)
    (laptop.root / "dvc.lock").unlink()
    (laptop.root / "reports/metrics.json").unlink()
    output = laptop.run("dvc", "repro", "--pull", "plot", **settings)
    for stage in ("train", "evaluate", "plot"):
        assert f"Stage '{stage}' is cached - skipping run, checking out outputs" in output
    assert "Running stage" not in output
    assert (laptop.root / "models/vae.keras").is_file()
    assert "Running stage 'register'" in laptop.run("dvc", "repro", "--dry", **settings), "each store is told"


def test_a_conflict_in_the_lock_is_resolved_without_training(retrained):
    """`main` has validated anew in between, by a changed profile; the branch has trained on a new batch."""
    hub, _ = retrained
    laptop = hub.clone("merger")
    settings = hub.settings
    profile = laptop.root / "data/profiles/digits.yaml"
    profile.write_text(f"{profile.read_text()}# looked at again\n")
    laptop.run("dvc", "repro", "--quiet", "--pull", "--single-item", "validate", **settings)
    laptop.run("git", *AUTHOR, "commit", "--all", "--quiet", "--message", "Look at the profile again")
    laptop.run("git", *AUTHOR, "merge", "origin/retrain", check=False)
    unmerged = laptop.run("git", "ls-files", "--unmerged", "dvc.lock")
    assert unmerged, "git made one record of two runs, a run that never was"
    output = laptop.run("sh", "scripts/resolve_lock.sh", **settings)
    assert "Running stage 'validate'" in output
    for stage in ("prepare", "classify", "train", "evaluate", "plot"):
        assert f"Running stage '{stage}'" not in output
    laptop.run("git", *AUTHOR, "commit", "--quiet", "--no-edit")
    laptop.run("sh", "scripts/verify_pipeline.sh", **settings | {"VAELINE_REMOTE": ""})


def test_a_candidate_is_promoted_from_a_dispatch_and_a_rollback_takes_it_back(retrained):
    hub, _ = retrained
    asked = {"candidate": "2", "replaces": "1", "reason": "new digits; $(touch pwned)"}
    assert hub.runner.run("promote", "workflow_dispatch", asked | {"dry_run": True})["promote"].result == "success"
    assert hub.champion == "1"
    jobs = hub.runner.run("promote", "workflow_dispatch", asked)
    assert jobs["promote"].result == "success", jobs["promote"].log
    assert hub.champion == "2"
    assert len((hub.runner.artifacts["ledger"] / "ledger.jsonl").read_text().splitlines()) == 2
    again = hub.runner.run("promote", "workflow_dispatch", {"candidate": "1"})
    assert again["promote"].result == "failure", "what the gate has not passed is not promoted"
    assert "has no gate report" in again["promote"].log
    jobs = hub.runner.run("rollback", "workflow_dispatch", {"reason": "it draws sevens as ones"})
    assert jobs["rollback"].result == "success", jobs["rollback"].log
    assert hub.champion == "1"
    entries = (hub.runner.artifacts["ledger"] / "ledger.jsonl").read_text()
    assert "new digits; $(touch pwned)" in entries
    assert '"who":"octocat"' in entries
    assert not list(hub.folder.rglob("pwned"))
