"""Data-parallel training: processes of Ray Train compute each batch together, by JAX.

Each process has a part of every batch. JAX computes as if one process had the whole batch: the noise is the same, and
statistics over a batch (normalization, a codebook) are those of the whole one.
"""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import ray
from ray.exceptions import RayError
from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError, get_context
from ray.train.collective import broadcast_from_rank_zero
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.util.queue import Queue

from vaeline.artifacts import scratch_beside
from vaeline.cluster import connected
from vaeline.compute import use_precision
from vaeline.data.prepared import read_prepared
from vaeline.errors import VaelineError
from vaeline.params.compute import ComputeParams
from vaeline.params.model import ModelParams
from vaeline.params.train import TrainParams
from vaeline.training.batches import Examples
from vaeline.training.checkpoint import Epoch
from vaeline.training.fit import epoch_bar, resume_or_start, show_epoch, train_epochs

RESTARTS = 3  # of all processes, after one of them or its machine ended
ON_HEAD = {"num_cpus": 0, "resources": {"node:__internal_head__": 0.001}}  # the machine that a cluster cannot lose


@dataclass(frozen=True)
class Job:
    """A training, and the folders of its data and of its checkpoint, which all machines see at the same path."""

    model: ModelParams
    train: TrainParams
    compute: ComputeParams
    prepared: Path
    checkpoint: Path


def train_on_workers(job: Job, gpu: bool, address: str, watch: Callable[[Epoch], None]) -> None:
    """Run the epochs of a training that are missing in `compute.workers` processes; its state is in the checkpoint.

    address: of a Ray cluster; empty for this machine alone. `watch` is called after every epoch. If a process or its
    machine ends, all processes go on after the last epoch.

    Raises:
        VaelineError: the batches cannot be divided, no cluster answers, the loss is not finite, or processes ended too
            often.
    """
    train, compute = job.train, job.compute
    if train.batch_size % compute.workers:
        raise VaelineError(
            f"train.batch_size is {train.batch_size}; make it a multiple of compute.workers, which is {compute.workers}"
        )
    with (
        connected(address, compute.workers * compute.threads),
        ThreadPoolExecutor(1) as listener,
        scratch_beside(job.checkpoint.with_name("ray")) as scratch,
    ):
        rows = Queue(actor_options=ON_HEAD)
        failure = listener.submit(_listen, rows, job, watch)
        try:
            try:
                _trainer(job, rows, gpu, scratch).fit()
            finally:
                rows.put(None)
            if reason := failure.result():
                raise VaelineError(reason)
        except (RayError, TrainingFailedError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise VaelineError(
                f"a process ended too often ({reason}); the same command goes on after the last epoch"
            ) from None


def _trainer(job: Job, rows: Queue, gpu: bool, scratch: Path) -> DataParallelTrainer:
    compute = job.compute
    return DataParallelTrainer(
        partial(_train, job, rows),
        scaling_config=ScalingConfig(
            num_workers=compute.workers,
            use_gpu=gpu,
            resources_per_worker={"CPU": compute.threads} | ({"GPU": 1} if gpu else {}),
            placement_strategy="SPREAD",
        ),
        run_config=RunConfig(
            storage_path=str(scratch.resolve()),
            failure_config=FailureConfig(max_failures=RESTARTS),
            worker_runtime_env={"env_vars": {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cuda" if gpu else "cpu"}},
        ),
    )


def _listen(rows: Queue, job: Job, watch: Callable[[Epoch], None]) -> str | None:
    """Show each epoch, until None comes. Returns the sentence with which the training failed."""
    failure = None
    with epoch_bar(job.train) as bar:
        while row := rows.get():
            if isinstance(row, str):
                failure = row
            else:
                watch(row)
                show_epoch(bar, row, job.train)
    return failure


def _train(job: Job, rows: Queue) -> None:
    """One of the processes. The first one writes the checkpoint that is kept, and tells of each epoch."""
    context = get_context()
    rank = context.get_world_rank()
    address = broadcast_from_rank_zero(None if rank else _free_address())
    keras.distribution.initialize(address, context.get_world_size(), rank)
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    use_precision(job.compute.precision)
    prepared = read_prepared(job.prepared)
    train, validation = (
        Examples(prepared.splits[name].images, prepared.splits[name].labels) for name in ("train", "validation")
    )
    progress = resume_or_start(job.checkpoint, train, len(prepared.classes), job.model, job.train, prepared.image)
    with TemporaryDirectory() as scratch:  # JAX needs every process to do the same, also when a model is saved
        checkpoint, tell = (Path(scratch) / "checkpoint", lambda row: None) if rank else (job.checkpoint, rows.put)
        try:
            train_epochs(progress, train, validation, job.train, checkpoint, tell)
        except VaelineError as error:  # all processes have the same loss
            tell(str(error))


def _free_address() -> str:
    with socket.socket() as found:
        found.bind(("", 0))
        return f"{ray.util.get_node_ip_address()}:{found.getsockname()[1]}"
