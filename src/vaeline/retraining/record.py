"""The record of the last successful retraining, in a tag of the registered model of the candidates.

All trainers can read and write this tag, so that every clone finds the record.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from vaeline.errors import VaelineError
from vaeline.registry.names import candidate_name

if TYPE_CHECKING:
    from mlflow import MlflowClient

TAG = "vaeline.retrained"


@dataclass(frozen=True)
class Retraining:
    """A retraining: when it ended (UTC), its inputs, its candidate, and the champion at that time ("" for none)."""

    at: datetime
    inputs: str
    champion: str
    candidate: str
    outcome: str
    verdict: str


def read_last(client: "MlflowClient", dataset: str) -> Retraining | None:
    """The last successful retraining on a data set; None if there is none. Raises VaelineError."""
    name = candidate_name(dataset)
    for model in client.search_registered_models(f"name = '{name}'"):
        if text := model.tags.get(TAG):
            try:
                content = json.loads(text)
                return Retraining(datetime.fromisoformat(content.pop("at")), **content)
            except (ValueError, KeyError, TypeError):
                raise VaelineError(f"{name}: its tag {TAG} cannot be read; delete it, and retrain") from None
    return None


def write_last(client: "MlflowClient", dataset: str, done: Retraining) -> None:
    """Record a retraining as the last one. The registered model exists, because the retraining made a candidate."""
    content = asdict(done) | {"at": done.at.isoformat(timespec="seconds")}
    client.set_registered_model_tag(candidate_name(dataset), TAG, json.dumps(content, sort_keys=True))
