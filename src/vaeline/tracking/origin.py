"""Who does something to the store."""

import getpass
import os
from urllib.parse import urlsplit

from mlflow.utils.credentials import read_mlflow_creds

from vaeline.tracking.git import git
from vaeline.tracking.store import tracking_uri


def who() -> str:
    """The MLflow user; else who started the CI run; else git's user; else the user of this machine.

    A server with passwords proves the first, and that it may write; the others are what the environment says.
    """
    user = read_mlflow_creds().username or urlsplit(tracking_uri()).username or os.environ.get("GITHUB_ACTOR")
    name, mail = git("config", "user.name"), git("config", "user.email")
    return user or (f"{name} <{mail}>" if name and mail else name) or getpass.getuser()
