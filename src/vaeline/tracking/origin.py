"""The name of the person or job that changes the store."""

import getpass
import os

from mlflow.utils.credentials import read_mlflow_creds

from vaeline.redaction import user_of
from vaeline.tracking.git import git
from vaeline.tracking.store import tracking_uri


def who() -> str:
    """The MLflow user; else the user who started the CI run; else git's user; else the user of this machine.

    Only the MLflow user of a server with passwords is verified. The others are read from the environment.
    """
    user = read_mlflow_creds().username or user_of(tracking_uri()) or os.environ.get("GITHUB_ACTOR")
    name, mail = git("config", "user.name"), git("config", "user.email")
    return user or (f"{name} <{mail}>" if name and mail else name) or _machine_user()


def _machine_user() -> str:
    """The name of the user of this machine. In a container, a user may have only a number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
