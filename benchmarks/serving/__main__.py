"""Compare `vaeline serve` with `mlflow models serve`: the same model, the same requests, at the same time of day.

    python benchmarks/serving [--model models/vae.keras] [--seconds 5] [--rounds 3]      writes table.md here

The requests reconstruct arrays in JSON. The servers take turns, and each figure is the median over the rounds.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
from load import JSON, Client, Pace, free_port, press, running

from vaeline.artifacts import atomic_file
from vaeline.data.sources import MNIST_IMAGE
from vaeline.pyfunc.package import package_pyfunc

TABLE = Path(__file__).parent / "table.md"
IMAGES = (1, 8, 64)
CLIENTS = (1, 8)
CLOSE = 1e-4
HEAD = """\
Requests to reconstruct greys (`POST`, JSON) with the model {title} ({digest}…), on {machine}. The clients run on the
same machine, each with one request at a time. Each measurement takes {seconds:g} seconds; figures are the median of
{rounds} rounds in turns. × is the factor by which vaeline is better.
Made by `python benchmarks/serving`.

| images a request | clients | requests/s | | | p50, ms | | | p99, ms | | |
|---|---|---|---|---|---|---|---|---|---|---|
| | | mlflow | vaeline | × | mlflow | vaeline | × | mlflow | vaeline | × |
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=Path("models/vae.keras"))
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        about, rows = measure(options.model, Path(scratch), options.seconds, options.rounds)
    head = HEAD.format(
        title=about["title"],
        digest=about["model"]["digest"][:12],
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        seconds=options.seconds,
        rounds=options.rounds,
    )
    with atomic_file(TABLE) as temporary:
        temporary.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")
    print(TABLE.read_text(encoding="utf-8"))


def measure(model: Path, scratch: Path, seconds: float, rounds: int) -> tuple[dict[str, Any], list[str]]:
    """The answer of `/version`, and the rows of the table."""
    package_pyfunc(model, scratch / "package")
    theirs, ours = free_port(), free_port()
    package = ["-m", str(scratch / "package"), "--env-manager", "local", "-p", str(theirs)]
    own = ["--model", str(model), "--port", str(ours), "--rate", "0"]
    with (
        running(["mlflow", "models", "serve", *package], f"http://127.0.0.1:{theirs}/ping", scratch / "mlflow.log"),
        running(["vaeline.cli", "serve", *own], f"http://127.0.0.1:{ours}/readyz", scratch / "vaeline.log"),
    ):
        rows = []
        for images in IMAGES:
            bodies = make_bodies(images)
            check(theirs, ours, *bodies)
            for clients in CLIENTS:
                paces: tuple[list[Pace], list[Pace]] = ([], [])
                for _ in range(rounds):
                    paces[0].append(press(theirs, "/invocations", bodies[0], clients, seconds))
                    paces[1].append(press(ours, "/reconstruct", bodies[1], clients, seconds))
                rows.append(write_row(images, clients, *map(middle, paces)))
                print(rows[-1], flush=True)
        about = json.loads(Client(ours).ask("GET", "/version").body)
    return about, rows


def make_bodies(images: int) -> tuple[bytes, bytes]:
    """The same images (images, 28, 28, 1) as a request to MLflow and as one to vaeline."""
    greys = np.random.default_rng(images).random((images, *MNIST_IMAGE.shape)).round(4).tolist()
    theirs = {"inputs": greys, "params": {"mode": "reconstruct"}}
    return json.dumps(theirs).encode(), json.dumps({"images": greys}).encode()


def check(theirs: int, ours: int, their_body: bytes, our_body: bytes) -> None:
    """Check that both give the same images; otherwise a comparison makes no sense."""
    expected = json.loads(Client(theirs).ask("POST", "/invocations", their_body, JSON).body)["predictions"]["images"]
    found = json.loads(Client(ours).ask("POST", "/reconstruct", our_body, JSON).body)["images"]
    np.testing.assert_allclose(found, expected, atol=CLOSE)


def middle(paces: list[Pace]) -> Pace:
    """The median of each figure."""
    return Pace(*(statistics.median(values) for values in zip(*map(astuple, paces), strict=True)))


def write_row(images: int, clients: int, theirs: Pace, ours: Pace) -> str:
    """A line of the table."""
    cells = [f"{images}", f"{clients}", f"{theirs.rate:.1f}", f"{ours.rate:.1f}", f"{ours.rate / theirs.rate:.2f}"]
    for name in ("p50", "p99"):
        mlflow, vaeline = getattr(theirs, name), getattr(ours, name)
        cells += [f"{mlflow:.1f}", f"{vaeline:.1f}", f"{mlflow / vaeline:.2f}"]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
