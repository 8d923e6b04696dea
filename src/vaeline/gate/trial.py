"""The trial of a registered version: MLflow serves it in a clean process without pickle, and we send it requests."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from vaeline.processes import end_group
from vaeline.pyfunc.clean_process import clean_environment
from vaeline.pyfunc.model import MODES
from vaeline.redaction import one_line

LOCAL = "127.0.0.1"
START_SECONDS = 300
ANSWER_SECONDS = 60
GRACE_SECONDS = 10
TIMED = 30


@dataclass(frozen=True)
class ServiceTrial:
    """Answers by mode, a sentence for each problem, and milliseconds of each answer about one image."""

    answers: dict[str, dict[str, list]]
    problems: list[str]
    milliseconds: list[float]


def serve_and_ask(uri: str, golden: Mapping[str, Any]) -> ServiceTrial:
    """Serve a registered version, send the golden questions, then time many requests about one image."""
    answers: dict[str, dict[str, list]] = {}
    problems: list[str] = []
    milliseconds: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with served(uri, Path(scratch)) as address, requests.Session() as session:
                for mode in MODES:
                    response = _ask(session, address, golden["questions"][mode])
                    if response.ok:
                        answers[mode] = response.json()["predictions"]
                    else:
                        problems.append(f"{mode}: answered {response.status_code} {response.text[:200]}")
                question = dict(golden["questions"]["reconstruct"])
                question["inputs"] = question["inputs"][:1]
                for _ in range(TIMED):
                    began = time.perf_counter()
                    _ask(session, address, question)
                    milliseconds.append(1000 * (time.perf_counter() - began))
        except ServerError as error:
            problems.append(str(error))
        except (requests.RequestException, ValueError, KeyError) as error:
            problems.append(f"the answer of the server cannot be read ({type(error).__name__}: {error})")
    return ServiceTrial(answers, problems, milliseconds)


class ServerError(Exception):
    """The server did not start; the text is a sentence."""


@contextmanager
def served(uri: str, scratch: Path) -> Generator[str]:
    """`mlflow models serve` of `uri` on a free port of the loopback: its address. It ends with the block.

    Raises:
        ServerError: the server ended, or did not answer in time.
    """
    port = _free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", uri, "--env-manager", "local"]
    log = scratch / "serve.log"
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            [*command, "--host", LOCAL, "--port", str(port)],
            cwd=scratch,
            env=clean_environment(),
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(process, f"http://{LOCAL}:{port}", log)
        yield f"http://{LOCAL}:{port}"
    finally:
        end_group(process, GRACE_SECONDS)


def _ask(session: requests.Session, address: str, question: Mapping[str, Any]) -> requests.Response:
    return session.post(f"{address}/invocations", json=question, timeout=ANSWER_SECONDS)


def _wait(process: subprocess.Popen, address: str, log: Path) -> None:
    began = time.monotonic()
    while time.monotonic() - began < START_SECONDS:
        if process.poll() is not None:
            raise ServerError(f"`mlflow models serve` ended with status {process.returncode}: {_last_line(log)}")
        try:
            if requests.get(f"{address}/ping", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise ServerError(f"`mlflow models serve` gave no answer in {START_SECONDS} seconds: {_last_line(log)}")


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return one_line(lines[-1], 300) if lines else "its log is empty"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOCAL, 0))
        return probe.getsockname()[1]
