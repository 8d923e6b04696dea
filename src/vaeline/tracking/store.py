"""The MLflow store: SQLite at the repository's root unless `MLFLOW_TRACKING_URI` names another."""

import logging
import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import mlflow
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy import NullPool, create_engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from vaeline.errors import VaelineError, disk_fault
from vaeline.redaction import public_uri, redact
from vaeline.tracking.repository import repository_root
from vaeline.tracking.sqlite import ARTIFACTS, follow_repository, make_database, sqlite_file, sqlite_uri

DATABASE = "mlflow.db"
EXPERIMENT_PREFIX = "vae-"
LEDGER_SUFFIX = "-ledger"  # these experiments hold the moves of champions, not trainings
MONITORING = "monitoring"  # this experiment holds a run for each window of new images, not trainings
SWEEPS = "sweeps"  # this experiment holds sweeps and their trials, which the pipeline did not make
TRAINING_VIEW = "workflowType=machine_learning&workspace=default"  # otherwise MLflow shows pages for language models
ADVISORY_LOCK = int.from_bytes(b"vaeline")
FORBIDDEN = 403
STORE_ERRORS = (MlflowException, SQLAlchemyError, OSError)
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI` if it is set, else a database at the repository's root."""
    return os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri(repository_root() / DATABASE)


def open_store() -> MlflowClient:
    """A client of the store, which also becomes MLflow's default.

    The first use creates the database. Only one process at a time does this, because two would break it. Requests to a
    server that does not answer fail after seconds, not minutes, unless the environment sets another timeout. In the
    repository's own store, the places of artifacts follow a repository that was moved.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    mlflow.set_tracking_uri(tracking_uri())
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it prints a traceback of what it raises
    with _one_at_a_time():
        if file := sqlite_file(tracking_uri()):
            make_database(file)
        client = MlflowClient()
        client.search_experiments(max_results=1)
        relocate()
    return client


def relocate() -> int:
    """Let the places of artifacts follow a repository that was moved; returns how many did. Other stores stay."""
    root = repository_root()
    return follow_repository(root / DATABASE, root) if _is_own(tracking_uri()) and (root / DATABASE).is_file() else 0


def experiment_name(dataset: str) -> str:
    """The experiment that holds the runs on a data set."""
    return f"{EXPERIMENT_PREFIX}{dataset}"


def experiment_id(client: MlflowClient, dataset: str) -> str:
    """The id of the experiment `vae-<dataset>`, made on first use. Its artifacts are at the repository's root."""
    return named_experiment(client, experiment_name(dataset))


def named_experiment(client: MlflowClient, name: str) -> str:
    """The id of the experiment of this name, made on first use. Its artifacts are at the repository's root."""
    with _one_at_a_time():
        if found := client.get_experiment_by_name(name):
            return found.experiment_id
        return client.create_experiment(name, artifacts_place(client, name))


def artifacts_place(client: MlflowClient, name: str) -> str | None:
    """Where the repository's own store keeps the artifacts of an experiment; None for another store, which knows it.

    Else MLflow takes the working directory, which may be a temporary one of DVC, and reads its path as a URI.
    """
    return (repository_root() / ARTIFACTS / name).as_uri() if _is_own(client.tracking_uri) else None


def state_directory() -> Path:
    """`.vaeline` at the repository's root, for locks that all worktrees share."""
    directory = repository_root() / ".vaeline"
    directory.mkdir(exist_ok=True)
    return directory


def unreachable(error: Exception) -> VaelineError:
    """The error for a store that cannot be used, or that refuses this user's request."""
    user, code = os.environ.get("MLFLOW_TRACKING_USERNAME", "nobody"), getattr(error, "error_code", "")
    answer = getattr(error, "response", None)  # a failed transfer of files has the server's response
    if code == "PERMISSION_DENIED" or (answer is not None and answer.status_code == FORBIDDEN):
        return VaelineError(
            f"{user} may not do this in the tracking store {store_address()}; its administrator gives rights (`vaeline "
            "server grant` and `vaeline server user`)"
        )
    reason = disk_fault(error) or redact(str(error)).partition("\n")[0][:200] or type(error).__name__
    if code == "UNAUTHENTICATED":
        reason = f"it refuses {user} with this password (MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD)"
    return VaelineError(f"the tracking store {store_address()} cannot be used: {reason}")


def ui_address() -> str:
    """The address of the MLflow UI: the tracking server, or else the address of `make ui`."""
    uri = store_address()
    return uri.rstrip("/") if uri.startswith(("http://", "https://")) else "http://127.0.0.1:5000"


def run_pages(client: MlflowClient, server: str) -> dict[str, str]:
    """The address of the table of runs of each experiment of vaeline, by the experiment's name."""
    return {
        experiment.name: f"{server}/#/experiments/{experiment.experiment_id}/runs?{TRAINING_VIEW}"
        for experiment in client.search_experiments()
        if experiment.name.startswith(EXPERIMENT_PREFIX) and not experiment.name.endswith(LEDGER_SUFFIX)
    }


def store_address() -> str:
    """The store's address without secrets."""
    return public_uri(tracking_uri())


def holds_trainings(experiment: str) -> bool:
    """Whether an experiment may hold trainings of the pipeline. Those of ledgers, windows and sweeps do not."""
    return experiment not in (MONITORING, SWEEPS) and not experiment.endswith(LEDGER_SUFFIX)


def _is_own(uri: str) -> bool:
    return sqlite_file(uri) == repository_root() / DATABASE


@contextmanager
def _one_at_a_time() -> Generator[None]:
    """Only one process at a time: a file locks out those of this machine, PostgreSQL those of other machines."""
    with FileLock(state_directory() / "store.lock"), ExitStack() as held:
        if tracking_uri().startswith("postgresql"):
            engine = create_engine(tracking_uri(), poolclass=NullPool, isolation_level="AUTOCOMMIT")
            held.enter_context(engine.connect()).execute(select(func.pg_advisory_lock(ADVISORY_LOCK)))
        yield
