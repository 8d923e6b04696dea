"""Who does something to the store, from which commit, and in which run of CI."""

import getpass
import os

from vaeline.tracking.lineage import git

GITHUB_RUN = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")


def who() -> str:
    """The MLflow user; else who started the CI run; else git's user; else the user of this machine.

    Only the first is proven, by the server's password; the others are what the environment says.
    """
    for variable in ("MLFLOW_TRACKING_USERNAME", "GITHUB_ACTOR"):
        if name := os.environ.get(variable):
            return name
    name, mail = git("config", "user.name"), git("config", "user.email")
    return (f"{name} <{mail}>" if mail else name) or getpass.getuser()


def commit() -> str:
    """The commit that is checked out; empty without git."""
    return git("rev-parse", "HEAD")


def ci_url() -> str:
    """The page of the GitHub run that this process belongs to; empty outside of one."""
    server, repository, run = (os.environ.get(name, "") for name in GITHUB_RUN)
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""
