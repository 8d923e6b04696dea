"""The command that measures the thresholds of the gate and of the monitor for the data here."""

from pathlib import Path
from typing import Annotated

import typer

from vaeline.cli.app import app, sentences
from vaeline.outputs import CLASSIFIER, PREPARED

CACHE = Path(".vaeline/thresholds")
FEWEST_SEEDS = 3


@app.command()
def thresholds(
    seeds: Annotated[int, typer.Option(min=FEWEST_SEEDS, help="The number of trainings, with the seeds 1, 2, …")] = 3,
) -> None:
    """Measure the thresholds of the gate and of the monitor for your data.

    Trains the model of params.yaml with several seeds, and measures by how much
    their scores differ by chance. Another seed should not pass the gate, and
    images without drift should not be called drifted. A measurement that was
    stopped goes on where it was.

    Reads params.yaml, data/prepared and models/classifier.keras. Writes
    data/thresholds/<data set>.yaml. Review the file and commit it; the gate and
    the monitor then use it.

    Example: vaeline thresholds --seeds 5
    """
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with sentences():
        from vaeline.params.whole import read_params

        params = read_params()
        from vaeline.data.prepared import read_prepared

        prepared = read_prepared(Path(PREPARED))
        from vaeline.archive import load_archive
        from vaeline.artifacts import digest
        from vaeline.classifier.network import Classifier
        from vaeline.compute import use_device
        from vaeline.thresholds.measure import measure_thresholds
        from vaeline.thresholds.stored import write_thresholds

        use_device(params.compute)
        classifier = load_archive(Path(CLASSIFIER), Classifier)
        found = measure_thresholds(params, prepared, classifier, digest(Path(CLASSIFIER)), seeds, CACHE)
        file = write_thresholds(found)
    typer.echo(file.read_text(encoding="utf-8"))
    typer.echo(f"{file}: review and commit it; `vaeline gate` and `vaeline monitor` use it for {prepared.title}")
