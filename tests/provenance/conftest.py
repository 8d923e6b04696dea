from collections.abc import Callable

import pytest
from click.testing import Result
from mlflow import MlflowClient
from mlflow.entities import Run
from tracking.project import Project, client, empty_store, project
from typer.testing import CliRunner

from vaeline.cli import app
from vaeline.tracking.restore import restore_runs
from vaeline.tracking.runs import DIGEST_TAG, every_run

__all__ = ["client", "empty_store", "project"]
CANDIDATES, SERVED = "vae-digits-candidates", "vae-digits"


@pytest.fixture
def two_models(project: Project, client: MlflowClient) -> dict[int, Run]:
    """Runs by their seed, each in a commit of its own and registered; the first is the champion."""
    for seed in (1, 2):
        project.record(f"Train {seed}", seed=seed, loss=100.0 + seed)
    restore_runs(client)
    runs = {int(run.data.params["train.seed"]): run for run in every_run(client)}
    client.create_registered_model(CANDIDATES)
    for seed in (1, 2):
        run = runs[seed]
        tags = {tag: value for tag, value in run.data.tags.items() if tag.startswith(("vaeline.", "mlflow.source"))}
        client.create_model_version(CANDIDATES, f"{run.info.artifact_uri}/model", run.info.run_id, tags=tags)
    client.copy_model_version(f"models:/{CANDIDATES}/1", SERVED)
    client.set_registered_model_alias(SERVED, "champion", "1")
    assert runs[1].data.tags[DIGEST_TAG] != runs[2].data.tags[DIGEST_TAG]
    return runs


@pytest.fixture
def vaeline() -> Callable[..., Result]:
    """Run `vaeline` in the current folder; an exception that is no exit fails the test."""
    return lambda *arguments: CliRunner().invoke(app, [str(part) for part in arguments], catch_exceptions=False)
