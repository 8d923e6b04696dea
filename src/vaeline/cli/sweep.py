"""The command that searches parameters."""

from pathlib import Path
from typing import Annotated

import typer

from vaeline.cli.app import app, sentences
from vaeline.outputs import PREPARED

CACHE = Path(".vaeline/sweeps")
REPORTS = Path("reports/sweeps")


@app.command()
def sweep(
    plan: Annotated[Path, typer.Argument(help="The parameters to search, docs/scale.md.")],
    address: Annotated[
        str, typer.Option(help="A Ray cluster, such as ray://host:10001 or auto. Default: this machine alone.")
    ] = "",
    search_only: Annotated[bool, typer.Option(help="Do not run the pipeline with the best values.")] = False,
) -> None:
    """Search parameters, and run the pipeline with the best ones.

    A trial is a training as the stage `train` does it, on data/prepared. ASHA
    stops trials that fall behind. A sweep that was stopped goes on where it was;
    no trial that has ended is repeated.

    Reads the plan, params.yaml and data/prepared. Writes reports/sweeps/NAME/,
    presets/sweep-NAME.yaml and a run with a child run for each trial. Then does
    what `vaeline run --preset sweep-NAME` does.

    Example: vaeline sweep sweep.yaml
    """
    import os
    from importlib.util import find_spec

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with sentences():
        from vaeline.errors import VaelineError
        from vaeline.params.whole import read_params
        from vaeline.sweeps.plan import read_plan

        params = read_params()
        wanted = read_plan(plan, params)
        from vaeline.data.prepared import read_prepared

        prepared = read_prepared(Path(PREPARED))
        if not (find_spec("ray") and find_spec("optuna")):
            raise VaelineError("a sweep needs Ray and Optuna; `make setup SCALE=1` installs them")
        from vaeline.compute import drive
        from vaeline.dvc_repro import write_preset
        from vaeline.sweeps.plan import sweep_key
        from vaeline.sweeps.run import run_sweep
        from vaeline.sweeps.search import Job

        drive(params.compute.device, params.compute.workers)
        folder = CACHE / f"{sweep_key(wanted, params, prepared.manifest)}-{plan.stem}"
        job = Job(params, wanted.metric, Path(PREPARED).resolve(), folder.resolve())
        best = run_sweep(job, wanted, plan.stem, prepared, address, REPORTS / plan.stem)
        name = f"sweep-{plan.stem}"
        file = write_preset(name, params, best.values, f"The best of {wanted.trials} trials of the sweep {plan.stem}.")
    values = ", ".join(f"{key} {value}" for key, value in best.values.items())
    typer.echo(f"sweep: best {wanted.metric} {best.value(wanted.metric):.2f} with {values}; {file}")
    if not search_only:
        from vaeline.cli.pipeline import run

        run(preset=name)
