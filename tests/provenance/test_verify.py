"""Every claim of a version is held against what is there: what was changed is found, and nothing else."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tracking.project import Project

from vaeline.provenance.subjects import find_trained
from vaeline.provenance.verify import AGREES, DIFFERS, UNCHECKED, LineageCheck, verify
from vaeline.tracking.history import lock_on_disk, recorded_locks
from vaeline.tracking.runs import log_metrics, set_tags
from vaeline.tracking.trees import disk_tree, dvc_md5

CANDIDATE, CHAMPION = "models:/vae-digits-candidates/2", "models:/vae-digits@champion"


@pytest.fixture
def check(client) -> Callable[[str], list[LineageCheck]]:
    """All checks of a version or run."""

    def checked(name: str) -> list[LineageCheck]:
        recorded = [*recorded_locks()[0], *lock_on_disk()]
        return verify(client, find_trained(client, name), recorded)

    return checked


def named(checks: list[LineageCheck], verdict: str) -> set[str]:
    return {item.name for item in checks if item.verdict == verdict}


def artifact(project: Project, run, path: str):
    return Path(run.info.artifact_uri.removeprefix("file://")) / path


def store(project: Project, statement: str, *values: str) -> None:
    """Change what MLflow itself lets nobody change."""
    with closing(sqlite3.connect(project.root / "mlflow.db")) as connection, connection:
        assert connection.execute(statement, values).rowcount


@pytest.mark.parametrize("name", [CANDIDATE, CHAMPION])
def test_an_honest_version_agrees_in_everything(check, name):
    checks = check(name)
    assert named(checks, DIFFERS) == named(checks, UNCHECKED) == set()
    expected = {
        "model digest of the version",
        "archive in the store",
        "archive in dvc.lock",
        "files of the registered model",
        "dvc.lock",
        "dvc.lock in git",
        "parameters in dvc.lock",
        "data set of the run",
        "commit",
        "stage train",
        "environment",
        "train key",
        "data/prepared",
        "models/vae.keras",
        "evaluation/metrics.json",
        "metrics of the run",
        "validation of the data",
    }
    assert expected <= named(checks, AGREES)
    assert ("model digest of models:/vae-digits-candidates/1" in named(checks, AGREES)) == (name == CHAMPION)


def change_version_tag(tag: str):
    return lambda project, client, run: client.set_model_version_tag("vae-digits-candidates", "2", tag, "0" * 64)


def change_run_tag(tag: str, value: str = "0" * 64):
    return lambda project, client, run: set_tags(client, run.info.run_id, {tag: value})


def change_file(path: str, content: str = "changed"):
    return lambda project, client, run: project.write(path, content)


def change_artifact(path: str, content: str = "changed"):
    return lambda project, client, run: artifact(project, run, path).write_text(content)


def change_cached(path: str):
    def change(project, client, run):
        tree = disk_tree(project.root / path)
        project.cached(dvc_md5({"": next(iter(tree.values()))})).write_text("changed")

    return change


def remove_artifact(path: str):
    return lambda project, client, run: artifact(project, run, path).unlink()


def commit_code(project, client, run):
    project.write("src/models/network.py", "print('other')")
    set_tags(client, run.info.run_id, {"mlflow.source.git.commit": project.commit("Other code")})


def commit_environment(project, client, run):
    project.write("requirements.lock", "keras==4\n")
    set_tags(client, run.info.run_id, {"mlflow.source.git.commit": project.commit("Other environment")})


def commit_params(project, client, run):
    file = project.root / "params.yaml"
    file.write_text(file.read_text().replace("seed: 2", "seed: 9"))
    set_tags(client, run.info.run_id, {"mlflow.source.git.commit": project.commit("Other parameters")})


def kept_lock(project, client, run):
    file = artifact(project, run, f"locks/{run.data.tags['vaeline.dvc_lock_sha256']}.yaml")
    file.write_text(file.read_text().replace("seed: 2", "seed: 9"))


def logged_param(project, client, run):
    store(project, "UPDATE params SET value = '9' WHERE key = 'train.seed' AND run_uuid = ?", run.info.run_id)


def data_set(project, client, run):
    store(project, "UPDATE datasets SET digest = ?", "0" * 32)


def place(project, client, run):
    store(
        project,
        "UPDATE model_versions SET source = ?, storage_location = ? WHERE version = 2",
        "/elsewhere",
        "/elsewhere",
    )


BY_COMMIT = {"tags of the version"}  # it says another commit than the run
PLANTS = {
    "digest of the version": (
        change_version_tag("vaeline.model_digest"),
        {"model digest of the version", "tags of the version"},
    ),
    "tag of the version": (change_version_tag("vaeline.environment_sha256"), {"tags of the version"}),
    "lock of the version": (change_version_tag("vaeline.dvc_lock_sha256"), {"dvc.lock of the version"}),
    "place of the version": (place, {"place of the version's files"}),
    "digest of the run": (
        change_run_tag("vaeline.model_digest"),
        {"model digest of the version", "tags of the version", "archive in the store"},
    ),
    "archive": (
        change_artifact("model/artifacts/vae.keras"),
        {"archive in the store", "archive in dvc.lock", "files of the registered model"},
    ),
    "code that was added": (change_artifact("model/sitecustomize.py"), {"files of the registered model"}),
    "list of the files": (
        change_run_tag("vaeline.files_sha256"),
        {"files of the registered model", "tags of the version"},
    ),
    "archive that is gone": (remove_artifact("model/artifacts/vae.keras"), {"archive in the store"}),
    "lock of the run": (change_run_tag("vaeline.dvc_lock_sha256"), {"dvc.lock"}),
    "kept lock": (
        kept_lock,
        {"dvc.lock", "dvc.lock of the version", "parameters in dvc.lock", "stage train", "train key"},
    ),
    "md5 of data": (change_run_tag("vaeline.deps.data/prepared"), {"digests of the training", "tags of the version"}),
    "md5 of raw data": (change_run_tag("vaeline.deps.data/raw"), {"digests of the training", "tags of the version"}),
    "md5 of code": (change_run_tag("vaeline.deps.src/models"), {"digests of the training", "tags of the version"}),
    "md5 of the model": (
        change_run_tag("vaeline.outs.models/vae.keras"),
        {"digests of the training", "tags of the version"},
    ),
    "parameter": (logged_param, {"parameters in dvc.lock"}),
    "data set": (data_set, {"data set of the run"}),
    "train key": (change_run_tag("vaeline.train_key"), {"train key", "tags of the version"}),
    "environment": (change_run_tag("vaeline.environment_sha256"), {"environment", "tags of the version"}),
    "code of the commit": (commit_code, BY_COMMIT | {"stage train"}),
    "environment of the commit": (commit_environment, BY_COMMIT | {"environment"}),
    "parameters of the commit": (commit_params, BY_COMMIT | {"stage train"}),
    "prepared data on disk": (change_file("data/prepared/manifest.json"), {"data/prepared"}),
    "raw data in the cache": (change_cached("data/raw"), {"data/raw"}),
    "model in the cache": (change_cached("models/vae.keras"), {"models/vae.keras"}),
    "report of the run": (change_artifact("evaluation/scores.parquet"), {"evaluation/scores.parquet"}),
    "metrics of the run": (
        lambda project, client, run: log_metrics(client, run, {"test/neg_elbo": 1.0}),
        {"metrics of the run"},
    ),
    "validation": (
        change_artifact("validation/validation.json", '{"status": "failed"}'),
        {"validation/validation.json", "validation of the data"},
    ),
    "verdict": (change_run_tag("vaeline.validation", "failed"), {"validation of the data", "tags of the version"}),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_what_was_changed_is_found_and_nothing_else(project, client, two_models, check, plant):
    change, found = PLANTS[plant]
    change(project, client, two_models[2])
    assert named(check(CANDIDATE), DIFFERS) == found


def test_a_copy_with_another_digest_than_its_candidate_differs(client, check):
    client.set_model_version_tag("vae-digits-candidates", "1", "vaeline.model_digest", "0" * 64)
    assert named(check(CHAMPION), DIFFERS) == {"model digest of models:/vae-digits-candidates/1"}


def test_what_cannot_be_checked_says_why_and_is_no_failure(project, client, two_models, check, vaeline):
    project.forget()
    set_tags(client, two_models[2].info.run_id, {"vaeline.dvc_lock_sha256": recorded_locks()[0][-1].digest})
    checks = check(CANDIDATE)
    assert named(checks, DIFFERS) == set()
    notes = {item.name: item.note for item in checks if item.verdict == UNCHECKED}
    assert notes["data/raw"] == "neither on disk nor in the DVC cache"
    assert "data is neither on disk" in notes["train key"]
    assert vaeline("verify", CANDIDATE).exit_code == 0


def test_a_commit_of_another_repository_is_not_checked(project, client, two_models, check):
    set_tags(client, two_models[1].info.run_id, {"mlflow.source.git.commit": "1" * 40})
    checks = check(two_models[1].info.run_name)
    assert {item.name: item.note for item in checks if item.verdict == UNCHECKED} == {
        "commit": "this repository lacks it"
    }


def test_other_data_on_disk_is_no_difference_to_an_older_model(project, client, check):
    project.make(seed=3)
    project.write("models/vae.keras", "by hand")
    assert named(check(CANDIDATE), DIFFERS) == set()


def test_a_dirty_training_is_at_home_where_its_changes_were_committed(project, client, two_models, check):
    run = two_models[2]
    before = project.git("rev-parse", "HEAD~1")
    set_tags(client, run.info.run_id, {"mlflow.source.git.commit": before, "vaeline.git_dirty": "true"})
    checks = {item.name: item for item in check(run.info.run_name)}
    home = run.data.tags["mlflow.source.git.commit"]
    assert checks["commit"].note == f"with uncommitted changes, which are in {home[:12]}"
    assert (checks["stage train"].verdict, checks["stage train"].note) == (AGREES, f"commit {home[:12]}")
    set_tags(client, run.info.run_id, {"vaeline.git_dirty": "false"})
    assert named(check(run.info.run_name), DIFFERS) == {"stage train"}, "it was said to be clean, and has another seed"


def test_a_version_stays_true_when_its_run_is_evaluated_again(project, client, two_models, check):
    from vaeline.tracking.sync import log_lock

    project.make(seed=2, loss=50.0)
    run_id = two_models[2].info.run_id
    log_lock(client, run_id, (project.root / "dvc.lock").read_bytes())
    client.log_artifact(run_id, "reports/metrics.json", "evaluation")
    client.log_artifact(run_id, "reports/scores.parquet", "evaluation")
    metrics = {"test/neg_elbo": 50.0, "test_class_7/neg_elbo": 50.0}
    log_metrics(client, client.get_run(run_id), metrics)
    checks = check(CANDIDATE)
    assert named(checks, DIFFERS) == set()
    assert named(checks, UNCHECKED) == {"dvc.lock in git"}


def test_the_command_prints_a_table_and_fails_where_anything_differs(project, client, vaeline):
    answer = vaeline("verify", CHAMPION)
    assert answer.exit_code == 0, answer.output
    assert "archive in the store" in answer.output
    assert ", 0 differ, 0 cannot be checked here" in answer.output
    project.write("data/prepared/manifest.json", "{}")
    answer = vaeline("verify", CHAMPION)
    assert answer.exit_code == 1
    assert "data/prepared: recorded " in answer.output
    found = json.loads(vaeline("verify", CHAMPION, "--json").output)
    assert {item["name"] for item in found if item["verdict"] == DIFFERS} == {"data/prepared"}
    answer = vaeline("verify", "nobody")
    assert (answer.exit_code, "no version and no run is called 'nobody'" in answer.output) == (1, True)
