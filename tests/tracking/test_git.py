import os
import subprocess

import pytest

from vaeline.errors import VaelineError
from vaeline.provenance.evidence import about_commit, why_missing
from vaeline.tracking.git import commit_trees, git, is_shallow
from vaeline.tracking.origin import who
from vaeline.tracking.repository import repository_root

pytestmark = pytest.mark.usefixtures("processes")
NOBODY = 65534


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with two commits; it is the working directory, and git has no settings of a user."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for variable in ("DVC_ROOT", "SUDO_UID", "GIT_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    root = tmp_path / "repository"
    root.mkdir()
    monkeypatch.chdir(root)
    run("init", "--quiet")
    for number in (1, 2):
        (root / "dvc.yaml").write_text(f"# {number}")
        run("add", "--all")
        run("-c", "user.name=test", "-c", "user.email=a@b", "commit", "--quiet", "--message", f"Commit {number}")
    return root


def run(*arguments):
    subprocess.run(["git", *arguments], check=True)


def test_what_is_not_there_is_empty(repository, tmp_path, monkeypatch):
    unknown = "0" * 40
    assert git("show", "--no-patch", "--format=%an", unknown) == ""
    assert git("rev-parse", "--verify", "--quiet", "nothing^{commit}") == ""
    assert git("config", "user.name") == ""
    assert git("cat-file", "-t", unknown) == ""
    assert git("ls-remote", "--heads", "/nowhere") == ""
    assert commit_trees(unknown, ["dvc.yaml"]) == {"dvc.yaml": None}
    assert about_commit(unknown) == {}
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert git("rev-parse", "HEAD") == ""
    run("init", "--quiet")
    assert git("rev-parse", "HEAD") == git("log", "--all") == git("for-each-ref") == ""
    monkeypatch.setenv("PATH", "")
    assert git("rev-parse", "HEAD") == ""


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
def test_a_repository_of_another_user_is_refused_in_a_sentence(repository):
    subprocess.run(["chown", "-R", str(NOBODY), str(repository)], check=True)
    sentence = rf"^another user owns the repository {repository}, so git does not read it; if you trust it, run `git co"
    for read in (lambda: git("rev-parse", "HEAD"), repository_root, lambda: about_commit("0" * 40)):
        with pytest.raises(VaelineError, match=sentence):
            read()
    run("config", "--global", "--add", "safe.directory", str(repository))
    assert repository_root() == repository
    assert git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        (".git/config", "[broken", "`git rev-parse` failed: fatal: bad config line"),
        (".git/index", "broken", "`git status` failed: "),
    ],
)
def test_a_repository_that_is_broken_is_not_taken_for_one_without_changes(repository, file, content, sentence):
    (repository / file).write_text(content)
    (repository / "requirements.lock").touch()
    with pytest.raises(VaelineError, match=sentence):
        git("rev-parse", "HEAD")
        git("status", "--porcelain")


def test_a_work_tree_whose_repository_was_moved_is_no_folder_without_git(repository, tmp_path, monkeypatch):
    run("worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"))
    repository.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "tree")
    with pytest.raises(VaelineError, match="`git rev-parse` failed: fatal: not a git repository: "):
        repository_root()


def test_the_sentences_of_git_are_known_in_every_language(repository, monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LANGUAGE", "de")
    assert git("show", "0" * 40) == ""


def test_a_commit_that_a_shallow_clone_lacks_is_explained(repository, tmp_path, monkeypatch):
    first = git("rev-parse", "HEAD~1")
    assert not is_shallow()
    assert why_missing() == "this repository lacks it"
    run("clone", "--quiet", "--depth", "1", f"file://{repository}", str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    assert about_commit(first) == {}
    assert why_missing() == "this clone is shallow; `git fetch --unshallow` brings it"
    (tmp_path / "clone/requirements.lock").touch()
    assert is_shallow()


def test_a_user_without_a_name_has_a_number(repository, monkeypatch):
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME", "GITHUB_ACTOR", "MLFLOW_TRACKING_USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert who() == "user 4000000"
