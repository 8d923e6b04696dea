"""Runs rebuilt from git and DVC: all of them, truly, once."""

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from vaeline.tracking.history import recorded_locks
from vaeline.tracking.lineage import train_key
from vaeline.tracking.restore import LOCK_TAG, MODEL_TAG, NOT_AVAILABLE, OTHER_METRICS, RESTORED_FROM, restore_runs
from vaeline.tracking.runs import DIGEST_TAG, KEY_TAG, RESTORED, every_run, log_metrics, set_tags
from vaeline.tracking.store import experiment_id
from vaeline.tracking.trees import dvc_md5


def snapshot(client: MlflowClient) -> list:
    """All that the store says of its runs."""

    def listed(run_id, path=None):
        found = client.list_artifacts(run_id, path)
        return [name for item in found for name in (listed(run_id, item.path) if item.is_dir else [item.path])]

    return [
        (
            run.info.run_id,
            run.info.status,
            run.data.tags,
            run.data.params,
            {
                name: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]
                for name in run.data.metrics
            },
            listed(run.info.run_id),
        )
        for run in every_run(client, view=ViewType.ALL)
    ]


def outcomes(client: MlflowClient) -> list[str]:
    return [item.outcome for item in restore_runs(client)[0]]


def add_run(client: MlflowClient, tags: dict[str, str], status: str = "FINISHED") -> str:
    run_id = client.create_run(experiment_id(client, "digits"), run_name="known", tags=tags).info.run_id
    client.set_terminated(run_id, status)
    return run_id


def test_every_model_of_the_history_gets_its_run_with_all_that_is_known(project, client):
    commits = {}
    for seed in (1, 2):
        commits[seed] = project.record(f"Train {seed}", seed=seed, loss=100.0 + seed)
    keys = {2: train_key()}
    project.git("checkout", "--quiet", "-b", "side")
    commits[3] = project.record("Train 3", seed=3, loss=103.0)
    assert outcomes(client) == ["rebuilt"] * 3
    runs = {run.data.params["train.seed"]: run for run in every_run(client)}
    assert set(runs) == {"1", "2", "3"}
    for seed in (1, 2, 3):
        run = runs[str(seed)]
        tags = run.data.tags
        assert (run.info.status, tags[RESTORED], tags[RESTORED_FROM]) == ("FINISHED", "true", commits[seed])
        assert tags["mlflow.source.git.commit"] == commits[seed]
        assert tags["vaeline.git_dirty"] == "false"
        assert tags[DIGEST_TAG] == project.model_sha256(seed)
        assert (tags["vaeline.dataset"], tags["vaeline.validation"]) == ("digits", "passed")
        assert "vaeline.machine" not in tags, "nobody knows where it was trained"
        assert run.data.params["model.kind"] == "vae"
        assert run.data.metrics["test/neg_elbo"] == 100.0 + seed
        assert run.data.metrics["test_class_7/neg_elbo"] == 100.0 + seed
        losses = client.get_metric_history(run.info.run_id, "train/loss")
        assert [(point.step, point.value) for point in losses] == [(1, seed + 1), (2, seed)]
        for folder, name in {
            "model/artifacts": "vae.keras",
            "evaluation": "scores.parquet",
            "figures": "loss.png",
            "validation": "validation.json",
            "locks": f"{tags[LOCK_TAG]}.yaml",
        }.items():
            assert f"{folder}/{name}" in [item.path for item in client.list_artifacts(run.info.run_id, folder)]
        (dataset,) = run.inputs.dataset_inputs
        assert dataset.dataset.digest == tags["vaeline.deps.data/prepared"]
        assert "images_sha256" in dataset.dataset.profile
        assert run.info.start_time == int(project.git("show", "-s", "--format=%ct", commits[seed])) * 1000
    assert runs["2"].data.tags[KEY_TAG] == keys[2]
    assert runs["2"].info.run_name == f"vae-mlp-2d-{keys[2][:6]}"


def test_a_second_time_adds_nothing(project, client):
    for seed in (1, 2):
        project.record(f"Train {seed}", seed=seed)
    restore_runs(client)
    before = snapshot(client)
    assert outcomes(client) == ["known", "known"]
    assert snapshot(client) == before


@pytest.mark.parametrize("known_by", ["digest", "md5", "what went in"])
def test_a_run_that_the_store_has_is_neither_doubled_nor_touched(project, client, known_by):
    project.record("Train", seed=1)
    (lock,) = recorded_locks()[0]
    tags = {
        "digest": {DIGEST_TAG: project.model_sha256(1)},
        "md5": {DIGEST_TAG: "of a file that is lost", MODEL_TAG: lock.model_md5},
        "what went in": {DIGEST_TAG: "of a file that is lost"}
        | {f"vaeline.deps.{entry['path']}": entry["md5"] for entry in lock.stages["train"]["deps"]},
    }[known_by]
    run_id = add_run(client, tags)
    for key, value in {"compute.threads": 2, "model.kind": "vae", "train.seed": 1}.items():
        client.log_param(run_id, key, value)
    for key, value in {"model.architecture": "mlp", "model.latent_dim": 2}.items():
        client.log_param(run_id, key, value)
    before = snapshot(client)
    assert outcomes(client) == ["known"]
    assert snapshot(client) == before


def test_another_seed_of_the_same_code_is_another_run(project, client):
    project.record("Train", seed=1)
    (lock,) = recorded_locks()[0]
    went_in = {f"vaeline.deps.{entry['path']}": entry["md5"] for entry in lock.stages["train"]["deps"]}
    run_id = add_run(client, {DIGEST_TAG: "of another"} | went_in)
    client.log_param(run_id, "train.seed", 2)
    assert outcomes(client) == ["rebuilt"]


def test_a_run_that_was_deleted_stays_so(project, client):
    project.record("Train", seed=1)
    restore_runs(client)
    client.delete_run(every_run(client)[0].info.run_id)
    assert outcomes(client) == ["deleted"]
    assert every_run(client) == []


def test_a_run_that_never_heard_of_its_end_is_finished_and_one_at_work_left_alone(project, client):
    project.record("Train", seed=1)
    run_id = add_run(client, {KEY_TAG: train_key()}, "KILLED")
    client.update_run(run_id, status="RUNNING")
    assert outcomes(client) == ["known"]
    assert DIGEST_TAG not in client.get_run(run_id).data.tags
    client.set_terminated(run_id, "KILLED")
    assert outcomes(client) == ["completed"]
    (run,) = every_run(client)
    assert (run.info.run_id, run.info.status) == (run_id, "FINISHED")
    assert run.data.tags[DIGEST_TAG] == project.model_sha256(1)


def test_what_is_not_at_hand_is_said_and_filled_in_when_it_is(project, client):
    project.record("Train", seed=1, loss=101.0)
    (project.root / ".dvc/cache").rename(project.root / "elsewhere")
    (project.root / ".dvc/cache").mkdir(parents=True)
    project.forget()
    (found,) = restore_runs(client)[0]
    assert found.added == ["metrics.json"]
    lost = {"vae.keras", "history.csv", "scores.parquet", "figures", "validation.json"}
    assert found.missing == dict.fromkeys(lost, NOT_AVAILABLE)
    (run,) = every_run(client)
    assert {DIGEST_TAG, KEY_TAG}.isdisjoint(run.data.tags)
    assert (run.data.metrics["test/neg_elbo"], run.data.params["train.seed"]) == (101.0, "1")
    before = snapshot(client)
    assert outcomes(client) == ["known"]
    assert snapshot(client) == before

    (project.root / ".dvc").mkdir(exist_ok=True)
    (project.root / "elsewhere").rename(project.root / ".dvc/cache")
    (found,) = restore_runs(client)[0]
    assert (found.outcome, set(found.added), found.missing) == ("completed", lost, {})
    (run,) = every_run(client)
    assert run.data.tags[DIGEST_TAG] == project.model_sha256(1)
    assert run.data.metrics["train/loss"] == 1.0
    assert outcomes(client) == ["known"]


def test_a_changed_model_in_the_cache_is_not_restored(project, client):
    project.record("Train", seed=1)
    project.cached(dvc_md5({"": b"weights of 1"})).write_text("weights of a stranger")
    (project.root / "models/vae.keras").write_text("weights of a stranger")
    (found,) = restore_runs(client)[0]
    assert found.missing == {"vae.keras": NOT_AVAILABLE}
    assert DIGEST_TAG not in every_run(client)[0].data.tags


def test_an_evaluation_that_came_later_counts_and_stays(project, client):
    project.record("Train", seed=1, loss=100.0)
    newest = project.record("Evaluate again", seed=1, loss=90.0)
    project.write("src/models/network.py", "print('other code')")
    project.git("commit", "--quiet", "--all", "--message", "Other code")
    assert outcomes(client) == ["rebuilt"]
    (run,) = every_run(client)
    assert (run.data.metrics["test/neg_elbo"], run.data.tags[RESTORED_FROM]) == (90.0, newest)
    log_metrics(client, run, {"test/neg_elbo": 80.0})
    set_tags(client, run.info.run_id, {LOCK_TAG: "of an evaluation that nobody committed"})
    assert outcomes(client) == ["known"]
    (run,) = every_run(client)
    assert run.data.metrics["test/neg_elbo"] == 80.0
    assert run.data.tags[LOCK_TAG] == "of an evaluation that nobody committed"


def test_metrics_that_the_lock_does_not_record_are_not_taken(project, client):
    project.make(seed=1)
    project.write("reports/metrics.json", '{"test": {"neg_elbo": 1}, "per_class": {}}')
    project.commit("Train")
    (found,) = restore_runs(client)[0]
    assert found.missing["metrics.json"] == OTHER_METRICS
    assert "test/neg_elbo" not in every_run(client)[0].data.metrics


def test_changes_that_were_not_committed_with_the_lock_are_told(project, client):
    project.make(seed=1, code="print('never committed')")
    project.git("add", "dvc.lock", "params.yaml", "reports/metrics.json")
    project.git("commit", "--quiet", "--message", "Only the lock")
    restore_runs(client)
    (run,) = every_run(client)
    assert run.data.tags["vaeline.git_dirty"] == "true"
    assert KEY_TAG not in run.data.tags
