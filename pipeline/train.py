"""Stage `train`: train one model on the prepared data and log each epoch to MLflow."""

import os
from pathlib import Path

import keras
import pandas as pd

from vaeline.archive import save_archive
from vaeline.artifacts import atomic_file
from vaeline.compute import takes_gpu, use_device, use_precision
from vaeline.data.prepared import read_prepared
from vaeline.errors import run_stage
from vaeline.params.base import read_section
from vaeline.params.compute import ComputeParams
from vaeline.params.model import ModelParams
from vaeline.params.train import TrainParams
from vaeline.tracking.lineage import train_key
from vaeline.tracking.training import exclusive, watch_training
from vaeline.training.batches import Examples
from vaeline.training.fit import fit, resume_or_start

PREPARED = Path("data/prepared")
MODEL = Path("models/vae.keras")
HISTORY = Path("reports/history.csv")
STATE = Path(".vaeline")


def main() -> None:
    model_params = read_section("model", ModelParams)
    train_params = read_section("train", TrainParams)
    compute = read_section("compute", ComputeParams)
    device = use_device(compute, compute.workers)
    use_precision(compute.precision)
    print(f"train: computes on {device}")
    prepared = read_prepared(PREPARED)
    train, validation = (
        Examples(split.images, split.labels) for split in (prepared.splits["train"], prepared.splits["validation"])
    )
    key = train_key()
    checkpoint = STATE / "checkpoints" / f"{key[:16]}-{keras.backend.backend()}"  # auto may mean another one tomorrow
    with exclusive(STATE / "train.lock"), watch_training(key, prepared.manifest, device) as observer:
        if compute.workers > 1:
            from vaeline.training.workers import Job, train_on_workers

            job = Job(model_params, train_params, compute, PREPARED.resolve(), checkpoint.resolve())
            gpu, address = takes_gpu(compute.device), os.environ.get("RAY_ADDRESS", "")
            train_on_workers(job, gpu, address, observer.log_epoch)
        progress = resume_or_start(checkpoint, train, len(prepared.classes), model_params, train_params, prepared.image)
        if progress.history:
            observer.log_earlier_epochs(progress.history)
        if progress.history and compute.workers == 1:
            print(f"train: continues after epoch {len(progress.history)}, from {checkpoint}")
        model, history = fit(progress, train, validation, train_params, checkpoint, observer.log_epoch)
        with atomic_file(HISTORY) as temporary:
            pd.DataFrame(history).to_csv(temporary, index=False, float_format="%.5f")
        observer.trained(save_archive(model, MODEL))
    print(f"train: {prepared.title}, {len(history)} epochs; {MODEL}")


if __name__ == "__main__":
    run_stage(main)
