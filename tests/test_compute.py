"""The device, and what is said where it is missing."""

import os
import sys

import keras
import pytest

from vaeline import compute as module
from vaeline.compute import choose_backend, drive, takes_gpu, use_device
from vaeline.errors import VaelineError


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Makes a machine with or without a GPU, and with or without the packages of JAX with CUDA."""

    def make(*, gpu, installed):
        driver = tmp_path / "nvidiactl"
        if gpu:
            driver.touch()
        monkeypatch.setattr(module, "DRIVER", driver)
        monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: "a package" if installed else None)

    return make


@pytest.mark.parametrize(
    ("device", "gpu", "installed", "wanted"),
    [
        ("auto", True, True, True),
        ("auto", True, False, False),
        ("auto", False, True, False),
        ("cpu", True, True, False),
        ("gpu", True, True, True),
    ],
)
def test_auto_takes_a_gpu_only_where_jax_can_use_one(machine, device, gpu, installed, wanted):
    machine(gpu=gpu, installed=installed)
    assert takes_gpu(device) == wanted


@pytest.mark.parametrize(
    ("gpu", "installed", "sentence"),
    [(False, True, "no NVIDIA GPU; set it to auto or cpu"), (True, False, "`make setup GPU=1` adds it")],
)
def test_a_gpu_that_is_missing_is_said_in_one_sentence(machine, gpu, installed, sentence):
    machine(gpu=gpu, installed=installed)
    with pytest.raises(VaelineError, match=sentence) as error:
        choose_backend("gpu")
    assert "\n" not in str(error.value)


@pytest.fixture
def started(monkeypatch):
    """What this process starts instead of itself, and with which backend; it has TensorFlow."""
    found = []
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    monkeypatch.setattr(module, "_gpu_name", lambda: "a GPU")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(os, "execv", lambda *program: found.append((*program, os.environ["KERAS_BACKEND"])))
    monkeypatch.setattr(sys, "orig_argv", ["python", "-W", "error", "pipeline/train.py"])
    return found


@pytest.mark.parametrize("act", [lambda: choose_backend("auto"), lambda: drive("gpu"), lambda: drive("cpu", workers=2)])
def test_a_gpu_and_several_workers_start_the_process_again_on_jax(machine, started, act):
    machine(gpu=True, installed=True)
    act()
    assert started == [(sys.executable, [sys.executable, "-W", "error", "pipeline/train.py"], "jax")]


@pytest.mark.parametrize("act", [lambda: choose_backend("cpu"), lambda: drive("cpu")])
def test_the_cpu_keeps_its_backend(machine, started, act):
    machine(gpu=True, installed=True)
    assert not act()
    assert started == []


def test_several_workers_need_ray_and_jax(machine):
    machine(gpu=False, installed=False)
    with pytest.raises(VaelineError, match="workers is 2, which needs Ray and JAX; `make setup SCALE=1`"):
        drive("cpu", workers=2)


def test_it_is_said_what_was_taken(params, monkeypatch):
    monkeypatch.setattr(module, "fix_threads", lambda threads: None)  # TensorFlow may run already
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    asked = params.compute.model_copy(update={"threads": 3, "device": "cpu"})
    assert use_device(asked) == "cpu, 3 threads, tensorflow, float32"
