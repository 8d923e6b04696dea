"""Ray: on this machine alone, or connected to a cluster."""

import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial

import ray

from vaeline.errors import VaelineError

OBJECT_STORE = 200 * 2**20  # bytes; work reads and writes files, and little goes through Ray
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # its files have the rest
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}


@contextmanager
def connected(address: str, cpus: int) -> Generator[None]:
    """Ray with `cpus` CPUs on this machine, or the cluster at `address`; the connection ends with the block.

    Raises:
        VaelineError: no cluster answers there.
    """
    os.environ.update(QUIET)
    connect = partial(ray.init, log_to_driver=False, logging_level=logging.ERROR)
    try:
        if address:
            backend = {name: os.environ[name] for name in ("KERAS_BACKEND",) if name in os.environ}
            connect(address, runtime_env={"env_vars": backend})
        else:
            connect("local", num_cpus=cpus, object_store_memory=OBJECT_STORE, include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise VaelineError(f"no Ray cluster answers at {address or 'local'}: {error}") from None
    try:
        yield
    finally:
        ray.shutdown()
