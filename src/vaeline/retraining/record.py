"""The last retraining that succeeded, kept where every clone finds it: in a tag of the registered candidates.

Trainers may write there, and nowhere else that all of them read.
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
    """When it ended (UTC), and what it made of which inputs in sight of which champion ("" for none)."""

    at: datetime
    inputs: str
    champion: str
    candidate: str
    outcome: str
    verdict: str


def read_last(client: "MlflowClient", dataset: str) -> Retraining | None:
    """The last retraining on a data set that succeeded; None where none did. Raises VaelineError."""
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
    """Keep a retraining as the last one; its candidate makes sure that there is a registered model to keep it in."""
    content = asdict(done) | {"at": done.at.isoformat(timespec="seconds")}
    client.set_registered_model_tag(candidate_name(dataset), TAG, json.dumps(content, sort_keys=True))
