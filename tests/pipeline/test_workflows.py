"""The life of a champion as the workflows lead it: retrain.yml, promote.yml and rollback.yml, run on this machine.

The steps are real, in a repository with a bare clone as `main` and a folder as DVC remote; the actions are stubs.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pipeline.runner import Job, Runner
from pipeline.workspace import Workspace, copy_workspace

from vaeline.data.image_sets import ImageSet
from vaeline.params.whole import read_params
from vaeline.registry.candidates import copy_version, make_model
from vaeline.registry.moves import move, read_standing
from vaeline.registry.names import candidate_name, served_name
from vaeline.retraining.due import judge, survey
from vaeline.retraining.record import TAG
from vaeline.tracking.runs import DIGEST_TAG

SERVED, CANDIDATES = served_name("digits"), candidate_name("digits")
ANYTHING_PASSES = {
    "gate.mode": "non_inferior",
    "gate.nll_images": 300,
    "gate.nll_samples": 2,
    "gate.resamples": 100,
    "gate.margin": 1000.0,
    "gate.slice_margin": 1000.0,
    "gate.worst": 10_000.0,
    "gate.floors.kl": 0.0,
    "gate.floors.active_units": 0,
    "gate.floors.precision": 0.0,
    "gate.floors.auroc": 0.0,
    "gate.budget.milliseconds": 60_000.0,
}


@dataclass
class Hub:
    """github.com with the finished workspace as its `main`; a store with a champion, a DVC remote, new batches."""

    folder: Path
    runner: Runner
    store: str

    @property
    def client(self):
        return Workspace(self.folder).client(self.store)

    @property
    def champion(self) -> str:
        return str(self.client.get_registered_model(SERVED).aliases["champion"])

    def retrain(self) -> dict[str, Job]:
        """A night: the schedule starts retrain.yml."""
        jobs = self.runner.run("retrain")
        assert jobs["compute"].result == jobs["alarm"].result == "success", jobs["compute"].log
        return jobs

    def main(self) -> str:
        return self.runner.git("rev-parse", "main", cwd=self.runner.origin)

    def arrive(self, name: str, images: np.ndarray, labels: np.ndarray) -> None:
        np.savez(self.folder / "incoming" / name, images=images, labels=labels)

    def clone(self, name: str, branch: str = "main") -> Workspace:
        """Somebody's laptop, with the same remote and store."""
        root = self.folder / name
        self.runner.git("clone", "--quiet", "--branch", branch, str(self.runner.origin), str(root), cwd=self.folder)
        laptop = Workspace(root)
        laptop.run("dvc", "remote", "add", "--local", "--force", "--default", "team", str(self.folder / "remote"))
        return laptop


@pytest.fixture(scope="module")
def hub(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Hub:
    folder = tmp_path_factory.mktemp("hub")
    (folder / "incoming").mkdir()
    first = copy_workspace(finished, folder, "first")
    changes = ANYTHING_PASSES | {"ingest.source": str(folder / "incoming")}
    first.change(**{key.replace(".", "__"): value for key, value in changes.items()})
    first.run("dvc", "remote", "add", "--local", "--force", "--default", "team", str(folder / "remote"))
    first.run("vaeline", "push")
    first.run("git", "add", "--all")
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    first.run("git", *who, "commit", "--quiet", "--message", "Run")
    first.run("git", "branch", "--move", "--force", "main")
    first.run("git", "clone", "--quiet", "--bare", str(first.root), str(folder / "origin.git"))
    shutil.copy(finished.root / "mlflow.db", folder / "mlflow.db")
    store = f"sqlite:///{folder}/mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(first.root)
        client = finished.client(store)
        make_model(client, SERVED, "served")
        copy_version(client, client.get_model_version(CANDIDATES, "1"), SERVED)
        move(client, read_standing(client, SERVED), "promote", client.get_model_version(SERVED, "1"), "the first", "")
    told = {"MLFLOW_TRACKING_URI": store, "VAELINE_REMOTE": str(folder / "remote")}
    return Hub(folder, Runner(folder / "origin.git", folder, first.environment(), told), store)


@pytest.fixture(scope="module")
def retrained(hub: Hub, digits: ImageSet) -> dict[str, Job]:
    """The night after a new batch has come."""
    images = np.where(digits.images[:60] > 0, digits.images[:60] - 1, 0).astype("uint8")
    hub.arrive("week-2.npz", images, digits.labels[:60])
    return hub.retrain()


def test_nothing_new_is_not_due(hub):
    jobs = hub.retrain()
    compute = jobs["compute"]
    assert "not due: data, code, parameters and dependencies are those of the champion's training" in compute.log
    assert "# Retraining: not due" in compute.summary
    assert compute.outputs == {"changed": "false"}
    assert jobs["propose"].result == "skipped"
    assert "the last training that succeeded was" in jobs["alarm"].log
    assert "Running stage" not in compute.log


def test_drift_that_has_triggered_in_the_store_is_a_reason(hub, monkeypatch, tmp_path):
    """As `vaeline monitor` leaves it: a finished run of the experiment `monitoring` with the champion's digest."""
    monkeypatch.chdir(hub.folder / "first")
    client, digest = hub.client, hub.client.get_model_version(SERVED, "1").tags[DIGEST_TAG]
    experiment = client.create_experiment("monitoring", (tmp_path / "monitoring").as_uri())
    for day, triggered in ((20, True), (21, False), (22, True)):
        verdict = {"champion": {"digest": digest}, "created": f"2036-11-{day}T00:00:00+00:00", "triggered": triggered}
        (tmp_path / "monitor.json").write_text(json.dumps(verdict))
        run = client.create_run(experiment, tags={"vaeline.champion_digest": digest}).info.run_id
        client.log_artifact(run, str(tmp_path / "monitor.json"))
        client.set_terminated(run)
        found = judge(survey(client, read_params()))
        assert [reason.kind for reason in found.reasons] == (["drift"] if triggered else [])
    client.delete_experiment(experiment)


def test_a_poisoned_batch_is_quarantined_and_nothing_is_trained(hub, digits):
    hub.arrive("week-1.npz", 255 - digits.images[:240], digits.labels[:240])
    jobs = hub.retrain()
    assert jobs["compute"].outputs == {"changed": "false"}
    assert "- week-1.npz: " in jobs["compute"].summary.partition("New batches, quarantined")[2]
    assert list(hub.runner.artifacts["quarantine"].rglob("report.json"))
    assert jobs["propose"].result == "skipped"
    assert "Running stage" not in jobs["compute"].log
    assert len(Workspace(hub.folder).runs(hub.store)) == 2, "a training, and the ledger"
    (hub.folder / "incoming/week-1.npz").unlink()


def test_a_new_batch_is_trained_on_judged_and_proposed(hub, retrained):
    main = hub.main()
    log = retrained["compute"].log
    assert "due: data changed since the champion's training: data/accepted" in log
    for stage in ("prepare", "train"):
        assert f"Running stage '{stage}'" in log
    assert "Running stage 'fetch'" not in log
    assert "# Retraining: candidate" in retrained["compute"].summary
    assert "| served | pass |" in retrained["compute"].summary
    assert retrained["propose"].result == "success"
    (pull,) = hub.runner.pulls
    assert (pull["branch"], pull["draft"]) == ("retrain", "always-true")
    assert "Candidate 2 waits: retrain.promote is false" in pull["body"]
    assert (hub.main(), hub.champion) == (main, "1")
    changed = hub.runner.git("diff", "--name-only", "main", "retrain", cwd=hub.runner.origin).splitlines()
    assert {"dvc.lock", "reports/metrics.json"} <= set(changed)
    assert {Path(path).parent.as_posix() for path in changed} == {".", "reports", "data/accepted", "data/batches"}
    version = hub.client.get_model_version(CANDIDATES, "2")
    assert version.tags["vaeline.gate_verdict"] == "pass"
    assert TAG in hub.client.get_registered_model(CANDIDATES).tags


def test_a_second_clone_takes_the_results_of_the_first(hub, retrained):
    laptop = hub.clone("laptop", "retrain")
    settings = {"VAELINE_REMOTE": str(hub.folder / "remote"), "MLFLOW_TRACKING_URI": hub.store}
    laptop.run("sh", "scripts/verify_pipeline.sh", **settings)
    (laptop.root / "dvc.lock").unlink()
    (laptop.root / "reports/metrics.json").unlink()
    output = laptop.run("dvc", "repro", "--pull", "plot", **settings)
    for stage in ("train", "evaluate", "plot"):
        assert f"Stage '{stage}' is cached - skipping run, checking out outputs" in output
    assert "Running stage" not in output
    assert (laptop.root / "models/vae.keras").is_file()
    assert "Running stage 'register'" in laptop.run("dvc", "repro", "--dry", **settings), "each store is told"


def test_a_conflict_in_the_lock_is_resolved_without_training(hub, retrained):
    """`main` has validated anew in between, by a changed profile; the branch has trained on a new batch."""
    laptop = hub.clone("merger")
    settings = {"VAELINE_REMOTE": str(hub.folder / "remote"), "MLFLOW_TRACKING_URI": hub.store}
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    profile = laptop.root / "data/profiles/digits.yaml"
    profile.write_text(f"{profile.read_text()}# looked at again\n")
    laptop.run("dvc", "repro", "--quiet", "--pull", "--single-item", "validate", **settings)
    laptop.run("git", *who, "commit", "--all", "--quiet", "--message", "Look at the profile again")
    laptop.run("git", *who, "merge", "origin/retrain", check=False)
    unmerged = laptop.run("git", "ls-files", "--unmerged", "dvc.lock")
    assert unmerged, "git made one record of two runs, a run that never was"
    output = laptop.run("sh", "scripts/resolve_lock.sh", **settings)
    assert "Running stage 'validate'" in output
    for stage in ("prepare", "classify", "train", "evaluate", "plot"):
        assert f"Running stage '{stage}'" not in output
    laptop.run("git", *who, "commit", "--quiet", "--no-edit")
    laptop.run("sh", "scripts/verify_pipeline.sh", **settings | {"VAELINE_REMOTE": ""})


def test_a_candidate_is_promoted_from_a_dispatch_and_a_rollback_takes_it_back(hub, retrained):
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
