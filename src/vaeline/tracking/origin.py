"""Who does something to the store."""

import getpass
import os

from vaeline.tracking.git import git


def who() -> str:
    """The MLflow user; else who started the CI run; else git's user; else the user of this machine.

    Only the first is proven, by the server's password; the others are what the environment says.
    """
    for variable in ("MLFLOW_TRACKING_USERNAME", "GITHUB_ACTOR"):
        if name := os.environ.get(variable):
            return name
    name, mail = git("config", "user.name"), git("config", "user.email")
    return (f"{name} <{mail}>" if mail else name) or getpass.getuser()
