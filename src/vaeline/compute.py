"""What computes in this process: the backend of Keras, the device, the threads and the precision."""

import importlib.util
import os
import sys
from pathlib import Path

import keras

from vaeline.errors import VaelineError
from vaeline.params.compute import ComputeParams

CUDA_PLUGINS = ("jax_cuda12_plugin", "jax_cuda13_plugin")
DRIVER = Path("/dev/nvidiactl")


def use_device(compute: ComputeParams, workers: int = 1) -> str:
    """Set backend, device and threads of this process, and say in words what it took; before the first operation.

    workers: processes that compute instead of this one, if there are several.

    Raises:
        VaelineError: a GPU or JAX is needed, and missing.
    """
    gpu = drive(compute.device, workers) if workers > 1 else choose_backend(compute.device)
    fix_threads(compute.threads)
    if workers > 1:
        device = f"{workers} workers, each with a {'GPU' if gpu else 'CPU'}"
    else:
        device = _gpu_name() if gpu else "cpu"
    threads = f", {compute.threads} threads" if keras.backend.backend() == "tensorflow" else ""
    return f"{device}{threads}, {keras.backend.backend()}, {compute.precision}"


def choose_backend(device: str) -> bool:
    """Let this process compute on a GPU by JAX, or on the CPU. Returns whether on a GPU.

    Keras chooses its backend when it is imported, so a process that needs JAX and has another one starts itself again.

    Raises:
        VaelineError: a GPU is needed, and missing.
    """
    gpu = takes_gpu(device)
    if gpu:
        _need_jax()
        _gpu_name()
    else:
        _stay_on_cpu()
    return gpu


def drive(device: str, workers: int = 1) -> bool:
    """As `choose_backend`, for a process that lets others compute: it leaves the GPU to them, and stays on the CPU.

    workers: how many train one model together. Several need JAX on a CPU, too.

    Raises:
        VaelineError: a GPU or JAX is needed, and missing.
    """
    gpu = takes_gpu(device)
    if workers > 1 and not all(map(importlib.util.find_spec, ("jax", "ray"))):
        raise VaelineError(f"compute.workers is {workers}, which needs Ray and JAX; `make setup SCALE=1` adds them")
    if gpu or workers > 1:
        _need_jax()
    _stay_on_cpu()
    return gpu


def use_precision(precision: str) -> None:
    """Compute the networks that are made from now on in `precision`; weights, losses and latents stay float32."""
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else precision)


def fix_threads(threads: int) -> None:
    """Give TensorFlow `threads` threads. Another number gives other bits, so call it before the first operation.

    JAX reads its number of threads from the environment when it starts. It is not changed here.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)


def takes_gpu(device: str) -> bool:
    """Whether `device` (auto, cpu, gpu) means a GPU here; auto: if there is one, and JAX with CUDA is installed.

    Raises:
        VaelineError: a GPU is asked for, and there is none.
    """
    if device == "cpu":
        return False
    installed = any(importlib.util.find_spec(plugin) for plugin in CUDA_PLUGINS)
    if device == "gpu" and not DRIVER.exists():
        raise VaelineError("compute.device is gpu, but this machine has no NVIDIA GPU; set it to auto or cpu")
    if device == "gpu" and not installed:
        raise VaelineError("compute.device is gpu, but JAX with CUDA is not installed; `make setup GPU=1` adds it")
    return installed and DRIVER.exists()


def _need_jax() -> None:
    if keras.backend.backend() != "jax":
        os.environ["KERAS_BACKEND"] = "jax"
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _stay_on_cpu() -> None:
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_platforms", "cpu")


def _gpu_name() -> str:
    import jax

    try:
        return jax.devices("gpu")[0].device_kind
    except RuntimeError as error:
        raise VaelineError(
            f"JAX cannot use the GPU of this machine ({error}); set compute.device to cpu, or mend its driver"
        ) from None
