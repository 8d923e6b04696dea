"""What git remembers of a project, and whether it is told rightly."""

from vaeline.artifacts import digest
from vaeline.tracking.history import (
    differing_code,
    environment_digest,
    lock_on_disk,
    recorded_key,
    recorded_locks,
    recorded_metrics,
)
from vaeline.tracking.lineage import train_key
from vaeline.tracking.trees import read_file


def test_the_locks_of_all_branches_are_found_the_oldest_first(project):
    first = project.record("First", seed=1)
    project.git("checkout", "--quiet", "-b", "side")
    side = project.record("Side", seed=2)
    project.git("checkout", "--quiet", "main")
    third = project.record("Third", seed=3)
    project.git("merge", "--quiet", "--strategy", "ours", "side")
    project.git("branch", "--delete", "--force", "side")
    project.write("unrelated.txt", "x")
    project.commit("Not about models")
    found, unreadable = recorded_locks()
    assert {lock.commit for lock in found} >= {first, side, third}
    assert len({lock.model_md5 for lock in found}) == 3
    assert (found[0].commit, unreadable) == (first, [])
    assert found[0].experiment == "digits"


def test_a_lock_with_the_marks_of_a_conflict_or_without_a_training_is_left_out(project):
    project.make()
    lock = (project.root / "dvc.lock").read_text()
    project.write("dvc.lock", lock.replace("stages:", "<<<<<<< HEAD\nstages:\n=======\nstages:\n>>>>>>> side"))
    broken = project.commit("Broken")
    project.write("dvc.lock", "schema: '2.0'\nstages:\n  fetch:\n    cmd: python\n")
    project.commit("Only fetched")
    project.git("rm", "--quiet", "dvc.lock")
    project.commit("Removed")
    assert recorded_locks() == ([], [broken])


def test_without_git_there_is_no_history_but_the_lock_on_disk(project, tmp_path, monkeypatch):
    project.make()
    (found,) = lock_on_disk()
    assert (found.commit, found.dataset) == ("", "digits")
    monkeypatch.chdir(tmp_path)
    assert (recorded_locks(), lock_on_disk()) == (([], []), [])


def test_the_key_of_a_recorded_training_is_the_one_that_it_had(project):
    commit = project.record("Trained", seed=5)
    key = train_key()
    (lock,) = recorded_locks()[0]
    assert recorded_key(lock.stages, commit) == key
    project.make(seed=6, code="print(2)")
    assert recorded_key(lock.stages, commit) == key != train_key()
    project.forget()
    assert recorded_key(lock.stages, commit) == "", "the data is gone"


def test_a_commit_that_holds_other_code_is_told(project):
    commit = project.record("Trained", code="print(1)")
    project.write("src/models/network.py", "print(2)")
    project.write("src/models/added.py", "")
    later = project.commit("Changed")
    (lock,) = recorded_locks()[0]
    assert differing_code(lock.stages, "train", commit) == []
    assert differing_code(lock.stages, "train", later) == ["src/models"]
    assert recorded_key(lock.stages, later) == ""


def test_metrics_count_only_if_the_lock_says_that_they_are_the_models(project):
    project.record("Trained", loss=100.0)
    project.write("reports/metrics.json", '{"test": {"neg_elbo": 1}}')
    project.git("commit", "--quiet", "--all", "--message", "Metrics by hand")
    project.git("commit", "--quiet", "--allow-empty", "--message", "Nothing")
    project.make(loss=90.0)
    project.git("add", "dvc.lock")
    project.git("commit", "--quiet", "--message", "A lock without its metrics")
    honest, careless = recorded_locks()[0]
    assert b"100.0" in read_file(recorded_metrics(honest))
    assert recorded_metrics(careless) is None


def test_the_environment_of_a_commit_has_the_digest_that_its_runs_are_tagged_with(project):
    commit = project.git("rev-parse", "HEAD")
    expected = digest(project.root / "requirements.lock")
    project.write("requirements.lock", "keras==4\n")
    assert environment_digest(commit) == expected
    assert environment_digest("0" * 40) == ""
