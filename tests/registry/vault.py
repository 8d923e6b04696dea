"""A small registry, as trainings leave it, in a repository of its own: three candidates that nobody has gated."""

import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import keras
import numpy as np
from conftest import ROOT
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from stores import empty_store, move_artifacts

from vaeline.archive import save_archive
from vaeline.artifacts import digest, write_json
from vaeline.data.sources import MNIST_IMAGE
from vaeline.gate.policy import policy
from vaeline.gate.publish import gate_tags
from vaeline.models.vae import VAE
from vaeline.params.model import ModelParams
from vaeline.params.whole import read_params
from vaeline.registry.candidates import register_candidate
from vaeline.registry.names import candidate_name, served_name
from vaeline.registry.promotion import promote
from vaeline.registry.terms import REQUIRED_TAGS, Terms
from vaeline.tracking.runs import DIGEST_TAG
from vaeline.tracking.store import open_store

DATASET = "digits"
SERVED, CANDIDATES = served_name(DATASET), candidate_name(DATASET)


@dataclass(frozen=True)
class Vault:
    """The repository, and a client of its store."""

    root: Path
    client: MlflowClient

    @property
    def terms(self) -> Terms:
        """What the repository's params.yaml demands of a gate report."""
        params = read_params(self.root / "params.yaml")
        return Terms(timedelta(days=params.registry.report_days), policy(params))

    def candidate(self, number: int | str) -> ModelVersion:
        return self.client.get_model_version(CANDIDATES, str(number))

    def served(self, number: int | str) -> ModelVersion:
        return self.client.get_model_version(SERVED, str(number))

    def champion(self) -> str:
        """The version that the alias points at, "" for none."""
        return str(self.client.get_registered_model(SERVED).aliases.get("champion", ""))

    def versions(self, name: str = SERVED) -> list[str]:
        return sorted(str(version.version) for version in self.client.search_model_versions(f"name = '{name}'"))

    def file(self, version: ModelVersion, path: str) -> Path:
        """An artifact of the version's run, on disk."""
        place = self.client.get_run(version.run_id).info.artifact_uri
        return Path(place.removeprefix("file://")) / path

    def gate(self, number: int | str, verdict: str = "pass", days_ago: float = 0, **changes: object) -> None:
        """Leave what `vaeline gate` leaves of a candidate, judged against the present champion."""
        version = self.candidate(number)
        aliases = self._aliases()
        champion = self.served(aliases["champion"]) if "champion" in aliases else None
        used = policy(read_params(self.root / "params.yaml"))
        report = {
            "vaeline.gate_version": 1,
            "created": (datetime.now(UTC) - timedelta(days=days_ago)).isoformat(timespec="seconds"),
            "verdict": verdict,
            "mode": "superior",
            "metric": "nll_bound",
            "candidate": _entrant(version),
            "champion": _entrant(champion) if champion else None,
            "checks": [{"name": "improvement", "verdict": verdict, "sentence": "the gain is 2.1"}],
            "improvement": {"mean": 2.1, "low": 1.4, "high": 2.8} if champion else None,
            "test_sha256": "7" * 64,
            "policy": used,
            **changes,
        }
        write_json(self.root / "gate.json", report)
        self.client.log_artifact(version.run_id, str(self.root / "gate.json"), "gate")
        for key, value in gate_tags(report).items():
            self.client.set_model_version_tag(CANDIDATES, str(number), key, value)

    def crown(self, *numbers: int) -> None:
        """Gate and promote candidates, one after the other."""
        for number in numbers:
            self.gate(number)
            promote(self.client, self.candidate(number), SERVED, self.terms)

    def sql(self, statement: str, *values: object) -> None:
        """Change the database behind MLflow's back."""
        with sqlite3.connect(self.root / "mlflow.db") as database:
            database.execute(statement, values)
        database.close()

    def _aliases(self) -> dict[str, str]:
        found = self.client.search_registered_models(f"name = '{SERVED}'")
        return self.client.get_registered_model(SERVED).aliases if found else {}


def build_vault(root: Path, params: ModelParams, images: np.ndarray, seeds: Sequence[int] = (1, 2, 3)) -> None:
    """Register an untrained model of each seed in a new store below `root`, which must be the working directory."""
    shutil.copy(ROOT / "params.yaml", root)
    text = (root / "params.yaml").read_text()
    for key in ("dataset", "measured_on"):
        text = text.replace(f"{key}: mnist", f"{key}: {DATASET}")
    (root / "params.yaml").write_text(text)
    (root / "dvc.yaml").touch()
    shutil.copy(empty_store(), root)
    client = open_store()
    experiment = client.create_experiment(f"vae-{DATASET}", str(root / "mlruns"))
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        archive = root / f"seed-{seed}/vae.keras"
        sha256 = save_archive(VAE(params, MNIST_IMAGE), archive)
        tags = dict.fromkeys((tag for tag in REQUIRED_TAGS if tag.startswith(("vaeline.", "mlflow."))), "some")
        tags = {key: value for key, value in tags.items() if "gate" not in key}
        made = {DIGEST_TAG: sha256, "vaeline.outs.models/vae.keras": digest(archive, "md5")}
        run_id = client.create_run(experiment, run_name=f"seed {seed}", tags=tags | made).info.run_id
        client.log_param(run_id, "train.seed", seed)
        client.update_run(run_id, status="FINISHED")
        register_candidate(client, client.get_run(run_id), archive, CANDIDATES, images)


def copy_vault(source: Path, target: Path) -> None:
    """Copy a vault with its store."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    move_artifacts(target / "mlflow.db", source, target)


def _entrant(version: ModelVersion) -> dict[str, str]:
    about = {"name": version.name, "version": str(version.version), "run_id": version.run_id}
    return about | {"model_digest": version.tags[DIGEST_TAG]}
