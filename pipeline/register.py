"""Stage `register`: the model as a candidate version in the registry. Nothing is promoted here."""

import json
from pathlib import Path

from vaeline.artifacts import digest, write_json
from vaeline.errors import run_stage
from vaeline.registry.candidates import candidate_name, register_candidate
from vaeline.report import print_summary
from vaeline.tracking.store import STORE_ERRORS, open_store, unreachable
from vaeline.tracking.sync import sync_run

MODEL = Path("models/vae.keras")
MANIFEST = Path("data/prepared/manifest.json")
REGISTRATION = Path("reports/registration.json")


def main() -> None:
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    name = candidate_name(manifest["name"])
    try:
        client = open_store()
        run = sync_run(client)
        version = register_candidate(client, run, MODEL, name)
    except STORE_ERRORS as error:
        raise unreachable(error) from error
    write_json(REGISTRATION, {"name": name, "model_sha256": digest(MODEL)})
    print_summary(run, name, version.version)


if __name__ == "__main__":
    run_stage(main)
