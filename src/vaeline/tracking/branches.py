"""The models that git's branches name in their `dvc.lock`."""

from pathlib import Path

from vaeline.errors import VaelineError
from vaeline.outputs import MODEL
from vaeline.tracking.git import git, read_objects
from vaeline.tracking.locks import LOCK_FILE, outs, read_lock


def locked_models() -> dict[str, str]:
    """The md5 of the model in the `dvc.lock` at the tip of every branch and tag, and a text that says where it is.

    These count, too: the present branches of the remotes, the experiments of DVC, and the files in this and other
    work trees, committed or not. The commits of the remotes must have been fetched.

    Raises:
        VaelineError: there is no repository, a remote does not answer, a commit was not fetched, or a lock cannot be
            read.
    """
    tips = _tips(git("for-each-ref", "--format=%(objectname) %(refname)"))
    if not tips:
        raise VaelineError("there are no git branches here, so the models that they need are unknown")
    names = {f"{commit}:./{LOCK_FILE}": ref for commit, ref in (_remote_tips() | tips).items()}
    found = {}
    for name, content in read_objects(list(names)).items():
        found = _models(content, names[name]) | found
    listed = git("worktree", "list", "--porcelain").splitlines()
    trees = [Path(line.removeprefix("worktree ")) for line in listed if line.startswith("worktree ")]
    for file in [LOCK_FILE, *(tree / LOCK_FILE for tree in trees)]:
        if file.is_file():
            found = _models(file.read_bytes(), str(file.parent)) | found
    return found


def _remote_tips() -> dict[str, str]:
    found = {}
    for remote in git("remote").splitlines():
        tips = _tips(git("ls-remote", "--heads", "--tags", remote))
        if not tips:
            raise VaelineError(f"git's remote {remote} does not answer, so the models that it needs are unknown")
        for commit, ref in tips.items():
            if not git("cat-file", "-t", commit):
                raise VaelineError(f"{ref} of git's remote {remote} was not fetched; run `git fetch --all --tags`")
            found[commit] = f"{ref} of {remote}"
    return found


def _tips(listed: str) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in listed.splitlines())


def _models(content: bytes, where: str) -> dict[str, str]:
    try:
        md5 = outs(read_lock(content), "train").get(MODEL)
    except ValueError as error:
        raise VaelineError(f"{LOCK_FILE} of {where}: {error}") from None
    return {md5: f"{LOCK_FILE} of {where}"} if md5 else {}
