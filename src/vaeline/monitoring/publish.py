"""Write the verdict on a window and its page to the store, then to a folder."""

import tempfile
from pathlib import Path

from mlflow import MlflowClient

from vaeline.artifacts import atomic_file, write_json
from vaeline.errors import VaelineError
from vaeline.monitoring.decision import WindowReport
from vaeline.monitoring.record import PAGE, VERDICT, record
from vaeline.monitoring.report import write_page
from vaeline.params.monitor import MonitorParams


def publish(client: MlflowClient, found: WindowReport, settings: MonitorParams, target: Path) -> None:
    """Write page and verdict: to the store first, then into the folder `target`, the verdict last."""
    with tempfile.TemporaryDirectory() as scratch:
        files = [Path(scratch) / name for name in (PAGE, VERDICT)]
        files[0].write_text(write_page(found.verdict, found.figures), encoding="utf-8")
        write_json(files[1], found.verdict)
        record(client, found.verdict, {"monitor": settings.model_dump()}, files)
        try:
            (target / VERDICT).unlink(missing_ok=True)
            for file in files:
                with atomic_file(target / file.name) as temporary:
                    temporary.write_bytes(file.read_bytes())
        except OSError as error:
            raise VaelineError(f"{target}: cannot be written ({error.strerror}); the store has the verdict") from error
