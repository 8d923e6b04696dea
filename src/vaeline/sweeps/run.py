"""A whole sweep: the search, its records in MLflow, its table and its figure."""

import signal
from pathlib import Path

from tqdm import tqdm

from vaeline.artifacts import atomic_file
from vaeline.data.prepared import Prepared
from vaeline.errors import VaelineError
from vaeline.figures.canvas import save_figure
from vaeline.processes import raising
from vaeline.sweeps.figure import draw_sweep, sweep_table
from vaeline.sweeps.plan import SweepPlan
from vaeline.sweeps.record import SweepRun
from vaeline.sweeps.search import Job, search
from vaeline.sweeps.trials import Trial, best_trial
from vaeline.tracking.training import exclusive

TABLE, FIGURE = "trials.csv", "sweep.png"


def run_sweep(job: Job, plan: SweepPlan, name: str, data: Prepared, address: str, reports: Path) -> Trial:
    """Search, write the table and the figure into `reports`, and return the best trial.

    name: of the sweep; with its folder's name it identifies the run in MLflow.

    Raises:
        VaelineError: another sweep of this name runs here, Ray cannot be used, or every trial failed.
    """
    record = SweepRun(f"{name}-{job.folder.name[:6]}", data.manifest["name"], plan.metric)
    with exclusive(job.folder / "sweep.lock", "vaeline sweep"), raising(signal.SIGTERM):
        try:
            with tqdm(desc=f"sweep {name}", unit="trial", total=plan.trials, disable=None) as bar:
                trials = search(job, plan, _Told(record, bar, plan), address)
            best = best_trial(trials, plan.metric)
            if best is None:
                raise VaelineError(f"every trial of the sweep {name} failed: {trials[0].reason}")
            with atomic_file(reports / TABLE) as temporary:
                sweep_table(trials, plan.metric).to_csv(temporary, index=False, float_format="%.6g")
            title = f"{data.title}: {len(trials)} trials of the sweep {name}"
            save_figure(draw_sweep(trials, plan, title), reports / FIGURE)
            record.finish(best, [reports / TABLE, reports / FIGURE])
        except BaseException:
            record.killed()
            raise
    return best


class _Told:
    """Tells the store and the terminal what happens to trials."""

    def __init__(self, record: SweepRun, bar: tqdm, plan: SweepPlan):
        self.record, self.bar, self.plan = record, bar, plan

    def resumed(self, trials: list[Trial]) -> None:
        """Count the trials that had ended before."""
        self.bar.update(len(trials))
        for trial in trials:
            self.record.restore(trial)

    def began(self, trial: Trial) -> None:
        self.record.began(trial)

    def progressed(self, trial: Trial) -> None:
        self.record.progressed(trial)

    def ended(self, trial: Trial) -> None:
        self.record.ended(trial)
        self.bar.update()
        metric, values = self.plan.metric, ", ".join(f"{key} {value}" for key, value in trial.values.items())
        found = trial.reason or f"{metric} {trial.value(metric):.2f} after {len(trial.history)} epochs"
        tqdm.write(f"sweep: {values}: {trial.state}, {found}")
