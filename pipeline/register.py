"""Stage `register`: register the model as a candidate version. It promotes nothing."""

from pathlib import Path

from vaeline.artifacts import digest, write_json
from vaeline.closing_table import print_summary
from vaeline.data.prepared import read_prepared
from vaeline.errors import run_stage
from vaeline.images.arrays import to_unit
from vaeline.pyfunc.golden import IMAGES
from vaeline.registry.candidates import register_candidate
from vaeline.registry.names import candidate_name
from vaeline.tracking.checkpoints import drop_recorded_checkpoints
from vaeline.tracking.store import STORE_ERRORS, open_store, unreachable
from vaeline.tracking.sync import sync_run

MODEL = Path("models/vae.keras")
PREPARED = Path("data/prepared")
REGISTRATION = Path("reports/registration.json")


def main() -> None:
    prepared = read_prepared(PREPARED)
    name = candidate_name(prepared.manifest["name"])
    golden_images = to_unit(prepared.splits["test"].images[:IMAGES])
    try:
        client = open_store()
        run = sync_run(client)
        version = register_candidate(client, run, MODEL, name, golden_images)
    except STORE_ERRORS as error:
        raise unreachable(error) from error
    write_json(REGISTRATION, {"name": name, "model_sha256": digest(MODEL)})
    drop_recorded_checkpoints()
    print_summary(run, name, version.version)


if __name__ == "__main__":
    run_stage(main)
