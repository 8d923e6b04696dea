"""Send requests of all kinds while the champion moves: each answer must come completely from the version it names.

    python benchmarks/serving/soak.py [--model models/vae.keras] [--requests 10000] [--moves 20] [--clients 8]

Writes soak.md here; the exit status is 1 if an answer is wrong. The model and two untrained ones take turns behind the
alias, in a separate store. The right answer of each model to each request is computed here before, and every image of
every answer is compared with it.
"""

import argparse
import base64
import itertools
import json
import os
import platform
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from load import JSON, PATIENCE, Answer, Client, free_port, running
from mlflow import MlflowClient

from vaeline.archive import save_archive
from vaeline.artifacts import atomic_file
from vaeline.data.sources import MNIST_IMAGE
from vaeline.images.png import encode_png
from vaeline.models.archive import load_model
from vaeline.models.build import build_model
from vaeline.models.generative import GenerativeModel
from vaeline.pyfunc import answers
from vaeline.pyfunc.answers import ModelRequest
from vaeline.registry.stored import ARCHIVE
from vaeline.tracking.runs import DIGEST_TAG

TABLE = Path(__file__).parent / "soak.md"
NAME = "vae-soak"
OTHERS = {
    "2": {"architecture": "mlp", "width": 64},
    "3": {"latent_dim": 8, "architecture": "mlp", "width": 64},
}
CLOSE = 2e-4
NEAR_A_MOVE = 3.0
HEAD = """\
Requests of every path and form from {clients} clients, each with one request at a time, while the alias moves. Version
1 is {title}; versions 2 and 3 are smaller. {machine}; the clients run on the same machine.
Made by `python benchmarks/serving/soak.py`.

| | |
|---|---|
"""


@dataclass(frozen=True)
class Question:
    """A request, and the right answer of each version to it; None if the version must refuse (422)."""

    method: str
    path: str
    body: bytes | None
    headers: dict[str, str]
    expected: dict[str, answers.Answer | None]


@dataclass
class Record:
    """What happened."""

    failures: list[str] = field(default_factory=list)
    versions: Counter = field(default_factory=Counter)
    seconds: list[tuple[float, float]] = field(default_factory=list)
    moves: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=Path("models/vae.keras"))
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(soak(Path(scratch), options.model, options.requests, options.moves, options.clients))


def soak(folder: Path, archive: Path, requests: int, moves: int, clients: int) -> int:
    """Run the test and write its results; 1 if a request failed, an answer was wrong or a move was not followed."""
    store, port = f"sqlite:///{folder}/mlflow.db", free_port()
    registry = MlflowClient(store)
    models = fill(registry, folder, archive)
    questions = ask_beforehand(models)
    registry.set_registered_model_alias(NAME, "champion", "1")
    command = ["vaeline.cli", "serve", "--model", f"models:/{NAME}@champion", "--port", str(port)]
    command += ["--interval", "0.2", "--rate", "0", "--timeout", str(PATIENCE)]
    environment = os.environ | {"MLFLOW_TRACKING_URI": store}
    ready = f"http://127.0.0.1:{port}/readyz"
    with running(command, ready, folder / "log", environment) as server:
        process = psutil.Process(server.pid)
        record, memory = Record(), [process.memory_info().rss]
        mover = threading.Thread(target=move, args=(registry, record, requests, moves, port))
        tickets = iter(range(requests))
        hands = [threading.Thread(target=ask, args=(port, questions, record, tickets)) for _ in range(clients)]
        for each in (mover, *hands):
            each.start()
        for each in (mover, *hands):
            each.join()
        memory.append(process.memory_info().rss)
        swaps = count_swaps(port)
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    head = HEAD.format(clients=clients, title=models["1"].title, machine=machine)
    with atomic_file(TABLE) as temporary:
        temporary.write_text(head + write_record(record, swaps, memory, server.returncode), encoding="utf-8")
    print(TABLE.read_text(encoding="utf-8"), *record.failures[:10], sep="\n")
    return int(bool(record.failures) or swaps != moves or len(record.seconds) != requests or server.returncode != 0)


def fill(registry: MlflowClient, folder: Path, archive: Path) -> dict[str, GenerativeModel]:
    """Register three versions; return their models."""
    registry.create_registered_model(NAME)
    experiment = registry.create_experiment("soak", (folder / "mlruns").as_uri())
    own = load_model(archive)
    others = {
        version: build_model(own.params.model_copy(update=changes), own.image, own.classes, int(version))
        for version, changes in OTHERS.items()
    }
    models = {"1": own, **others}
    for model in models.values():
        digest = save_archive(model, folder / "vae.keras")
        run = registry.create_run(experiment)
        registry.log_artifact(run.info.run_id, str(folder / "vae.keras"), ARCHIVE.rpartition("/")[0])
        registry.create_model_version(NAME, run.info.artifact_uri, run.info.run_id, tags={DIGEST_TAG: digest})
    return models


def ask_beforehand(models: dict[str, GenerativeModel]) -> list[Question]:
    """Requests of every path and form, with the right answer of each model."""
    rng = np.random.default_rng(1)
    greys = rng.random((16, *MNIST_IMAGE.shape)).round(4).astype("float32")
    pictures = np.rint(255 * greys).astype("uint8")
    latents = rng.normal(size=(16, 2)).round(4).astype("float32")
    questions = []
    for first, size in itertools.product(range(0, 8, 2), (1, 3, 8)):
        rows = slice(first, first + size)
        body = json.dumps({"images": np.round(greys[rows].astype("float64"), 4).tolist()}).encode()
        for mode in ("reconstruct", "encode", "score"):
            questions.append(question("POST", f"/{mode}", body, JSON, ModelRequest(mode, greys[rows]), models))
        encoded = [base64.b64encode(encode_png(picture)).decode() for picture in pictures[rows]]
        seen = pictures[rows].astype("float32") / 255
        body = json.dumps({"png": encoded}).encode()
        questions.append(question("POST", "/encode", body, JSON, ModelRequest("encode", seen), models))
        body = json.dumps({"latents": np.round(latents[rows].astype("float64"), 4).tolist()}).encode()
        questions.append(question("POST", "/decode", body, JSON, ModelRequest("decode", latents[rows]), models))
        path = f"/sample?n={size}&seed={first}"
        questions.append(question("GET", path, None, {}, ModelRequest("sample", count=size, seed=first), models))
    body = encode_png(pictures[0])
    one = ModelRequest("reconstruct", pictures[:1].astype("float32") / 255)
    questions.append(question("POST", "/reconstruct", body, {"Content-Type": "image/png"}, one, models))
    return questions


def question(
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
    asked: ModelRequest,
    models: dict[str, GenerativeModel],
) -> Question:
    """A question; `asked` is the meaning of the request."""
    expected = {}
    for version, model in models.items():
        (found,) = answers.answer_all(model, [asked])
        expected[version] = None if isinstance(found, answers.UnanswerableError) else found
    check_apart([found for found in expected.values() if found])
    return Question(method, path, body, headers, expected)


def check_apart(found: list[answers.Answer]) -> None:
    """Check that the answers of two models differ for each image; otherwise a mixed answer could not be seen."""
    for one, other in itertools.combinations(found, 2):
        told = [differs(one[name], other[name]) for name in one if one[name].shape == other[name].shape]
        if told and not np.any(told, axis=0).all():
            raise RuntimeError(f"two of the models answer nearly the same {', '.join(one)}")


def differs(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The rows in which values differ by clearly more than the tolerance."""
    beyond = np.abs(values - others) > 5 * (CLOSE + CLOSE * np.abs(others))
    return beyond.reshape(len(values), -1).any(axis=1)


def ask(port: int, questions: list[Question], record: Record, tickets: Iterator[int]) -> None:
    """One client: a question for each ticket, which all clients share."""
    client, rng = Client(port), np.random.default_rng(threading.get_ident() % 2**32)
    for _ in tickets:
        chosen = questions[rng.integers(len(questions))]
        try:
            answer = client.ask(chosen.method, chosen.path, chosen.body, chosen.headers)
            wrong = find_wrong(chosen, answer, record)
        except Exception as error:
            client, wrong, answer = Client(port), f"{type(error).__name__}: {error}", None
        if wrong:
            record.failures.append(f"{chosen.method} {chosen.path}: {wrong}")
        record.seconds.append((time.monotonic(), answer.seconds if answer else PATIENCE))


COUNTING = threading.Lock()


def find_wrong(chosen: Question, answer: Answer, record: Record) -> str:
    """What is wrong with an answer; empty if it is completely the answer of the version that it names."""
    content = json.loads(answer.body)
    named = content.get("model")
    if not named:
        return f"status {answer.status}, of no model: {answer.body[:200]!r}"
    version = named["version"]
    with COUNTING:
        record.versions[version] += 1
    if answer.headers["Vaeline-Model"] != named["uri"] or answer.headers["Vaeline-Digest"] != named["digest"]:
        return "header and body name different models"
    expected = chosen.expected[version]
    if expected is None or answer.status != 200:
        return "" if expected is None and answer.status == 422 else f"status {answer.status}: {answer.body[:200]!r}"
    for name, values in expected.items():
        given = np.reshape(content[name], values.shape)  # grey images come without channels
        if not np.allclose(given, values, CLOSE, CLOSE):
            furthest = np.abs(given - values).max()
            return f"{name} is not what version {version} answers, by up to {furthest:.4g}"
    return ""


def move(registry: MlflowClient, record: Record, requests: int, moves: int, port: int) -> None:
    """Move the alias after equal numbers of requests, and only when the service has followed the move before."""
    turns = itertools.cycle(["2", "3", "1"])
    for number, version in zip(range(1, moves + 1), turns, strict=False):
        while len(record.seconds) < number * requests // (moves + 1):
            time.sleep(0.01)
        registry.set_registered_model_alias(NAME, "champion", version)
        record.moves.append(time.monotonic())
        until = time.monotonic() + PATIENCE
        while json.loads(Client(port).ask("GET", "/readyz").body)["model"]["version"] != version:
            if time.monotonic() > until:
                record.failures.append(f"the move to version {version} was not followed")
                return
            time.sleep(0.1)


def count_swaps(port: int) -> int:
    """The number of swaps in the service's metrics."""
    text = Client(port).ask("GET", "/metrics").body.decode()
    (line,) = [line for line in text.splitlines() if line.startswith("vaeline_model_swaps_total ")]
    return int(float(line.split()[1]))


def write_record(record: Record, swaps: int, memory: list[int], status: int) -> str:
    """The results as rows of a table."""
    times = np.array(record.seconds)
    near = np.array([any(0 <= when - moved < NEAR_A_MOVE for moved in record.moves) for when, _ in record.seconds])
    by_version = ", ".join(f"{count} by version {version}" for version, count in sorted(record.versions.items()))
    rows = {
        "requests": f"{len(times)}: {by_version}",
        "failed, mixed or wrong": len(record.failures),
        "moves of the alias, and followed": f"{len(record.moves)}, {swaps}",
        "requests/s": f"{len(times) / (times[-1, 0] - times[0, 0]):.0f}",
        "p50 and p99, ms": write_percentiles(times[:, 1]),
        f"p50 and p99 within {NEAR_A_MOVE:g} s after a move, ms": write_percentiles(times[near, 1]),
        "memory of the server before and after, MiB": ", ".join(f"{value / 2**20:.0f}" for value in memory),
        "exit status after SIGTERM": status,
    }
    return "".join(f"| {name} | {value} |\n" for name, value in rows.items())


def write_percentiles(seconds: np.ndarray) -> str:
    """The 50th and 99th percentile, in milliseconds."""
    return ", ".join(f"{1000 * value:.0f}" for value in np.percentile(seconds, (50, 99))) if len(seconds) else "none"


if __name__ == "__main__":
    main()
