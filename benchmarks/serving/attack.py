"""Attack the service in several ways while good clients work, and measure what the good clients notice.

    python benchmarks/serving/attack.py [--seconds 10]      writes attack.md here

The exit status is 1 if `/healthz` took longer than 250 ms, a good client lost more than 30 % of its throughput or got
another answer than 200, or memory or descriptors did not return to where they were. The model is small and untrained.
Attackers, good clients and the probe are processes of this machine. They have addresses of their own (127.0.0.x).
"""

import argparse
import asyncio
import itertools
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil
from load import free_port, running

from vaeline.archive import save_archive
from vaeline.artifacts import atomic_file
from vaeline.data.sources import MNIST_IMAGE
from vaeline.models.build import build_model
from vaeline.params.whole import read_params

TABLE = Path(__file__).parent / "attack.md"
GOOD, PROBE, BAD, BAD_ONE = "127.0.0.2", "127.0.0.3", "127.0.1.", "127.0.1.1"
GOOD_CLIENTS, GOOD_PAUSE = 6, 0.1
PROBE_PAUSE = 0.05
PATIENCE = 30.0
ARRIVAL = 1.0
BACK = 2.0
SETTLED = 60.0
SLOWEST_PROBE = 0.25
LEAST_KEPT = 0.7
MOST_GROWTH = 64 * 2**20
FILES_OF_POOLS = 2
BODY = json.dumps({"images": np.random.default_rng(0).random((8, 28, 28)).round(3).tolist()}).encode()
LARGE = b'{"images": [' + b"0.5," * 900_000 + b"0.5]}"
BOMB = b'{"images": [' + b"[]," * 1_300_000 + b"[]]}"
HEAD = """\
What attacks do to the service and to its good clients, with an untrained model ({title}) and the default limits, on
{machine}. Service, good clients, probe and attackers share these CPUs. {clients} good clients, with one address,
send 8 images to `/reconstruct` and pause {pause:g} ms after each answer. The probe asks `/healthz`, each time on a new
connection, and pauses {probe:g} ms. The attackers have four other addresses, or one. An attacker that was refused comes
back after {back:g} s. Each attack takes {seconds:g} s, and is compared with {seconds:g} s without an attack right
before (→). Memory and descriptors are those before the attack, at its end, and when they had settled. Large requests
had been answered before all, because the allocator keeps memory that was needed once.
Made by `python benchmarks/serving/attack.py`.

| attack | answers to attackers | `/healthz` p99, max, ms | good requests/s | kept | p99, ms | not 200 | MiB | files |
|---|---|---|---|---|---|---|---|---|
"""


@dataclass
class Tally:
    """What a group of clients saw: answers by status, and the seconds of those with 200."""

    answers: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """The service, and how long a group of clients works."""

    port: int
    seconds: float

    def ends(self) -> float:
        return time.monotonic() + self.seconds


Step = Callable[[Place, str, Tally], Awaitable[None]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--only", default="", help="a part of an attack's name")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        title, rows, faults = measure(Path(scratch), options.seconds, options.only)
    head = HEAD.format(
        title=title,
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        clients=GOOD_CLIENTS,
        pause=1000 * GOOD_PAUSE,
        probe=1000 * PROBE_PAUSE,
        back=BACK,
        seconds=options.seconds,
    )
    text = head + "\n".join(rows) + "\n"
    if not options.only:
        with atomic_file(TABLE) as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(text, *faults, sep="\n")
    sys.exit(bool(faults))


def measure(folder: Path, seconds: float, only: str) -> tuple[str, list[str], list[str]]:
    """The title of the model, a row for each attack, and what did not hold."""
    changes = {"architecture": "mlp", "width": 64}
    model = build_model(read_params().model.model_copy(update=changes), MNIST_IMAGE, 10, 1)
    save_archive(model, folder / "vae.keras")
    place = Place(free_port(), seconds)
    command = ["vaeline.cli", "serve", "--model", str(folder / "vae.keras"), "--port", str(place.port)]
    rows, faults = [], []
    ready = f"http://127.0.0.1:{place.port}/readyz"
    with running(command, ready, folder / "log") as server, ProcessPoolExecutor(3, get_context("spawn")) as pool:
        process = psutil.Process(server.pid)
        list(pool.map(time.sleep, [5.0] * 3))  # each of the three processes starts, and imports what it needs
        together(pool, place, LARGE_BEFORE, process)
        for name, attack in ATTACKS.items():
            if only in name:
                quiet = together(pool, place, None, process)
                before = usage(process)
                loud = together(pool, place, attack, process)
                row, found = judge(name, quiet, loud, (before, loud.usage, settle(process, before)))
                rows.append(row)
                faults.extend(found)
                print(row, *found, sep="\n", flush=True)
    return model.title, rows, faults


@dataclass(frozen=True)
class Seen:
    """What the three groups saw, and memory and descriptors of the service at the end."""

    good: Tally
    probe: Tally
    bad: Tally
    usage: tuple[int, int]
    seconds: float


def together(pool: ProcessPoolExecutor, place: Place, attack: tuple[str, int] | None, process: psutil.Process) -> Seen:
    """Good clients and the probe, and the attackers if there are any, each group in a process of its own."""
    groups: list[Future[Tally]] = [
        pool.submit(work, place, GOOD_CLIENTS, "good", GOOD),
        pool.submit(work, place, 1, "probe", PROBE),
    ]
    if attack:
        groups.append(pool.submit(work, place, attack[1], attack[0], BAD_ONE if attack[0] == "flood" else BAD))
    while not all(group.done() for group in groups):
        time.sleep(0.05)
        last = usage(process)
        if groups[0].done():
            break
    good, probe, *bad = (group.result() for group in groups)
    return Seen(good, probe, bad[0] if bad else Tally(), last, place.seconds)


def work(place: Place, clients: int, kind: str, address: str) -> Tally:
    """Some clients of one kind, in this process. Addresses that end with a dot are four addresses in turn."""
    tally = Tally()
    addresses = itertools.cycle([f"{address}{last}" for last in range(1, 5)] if address.endswith(".") else [address])
    step = STEPS[kind]

    async def play() -> None:
        async with asyncio.TaskGroup() as group:
            for own in itertools.islice(addresses, clients):
                group.create_task(repeat(step, place, own, tally))
                await asyncio.sleep(ARRIVAL / clients)

    asyncio.run(play())
    return tally


async def repeat(step: Step, place: Place, address: str, tally: Tally) -> None:
    """Do a step until the time is over. A step that fails is counted and done again after a pause."""
    ends = place.ends()
    while (left := ends - time.monotonic()) > 0:
        try:
            async with asyncio.timeout(left + PATIENCE):
                await step(place, address, tally)
        except (OSError, EOFError, TimeoutError) as error:
            tally.answers[type(error).__name__] += 1
            await asyncio.sleep(BACK)


class Line:
    """One connection from an address."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, method: str, path: str, body: bytes = b"") -> str:
        """Send a request; return the status of its answer."""
        self.writer.write(head(method, path, len(body)) + body)
        return await self.answer()

    async def answer(self) -> str:
        """The status of the next answer, which is read completely. Raises EOFError if there is none."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        sizes = [int(line.partition(":")[2]) for line in lines if line.startswith("content-length:")]
        await self.reader.readexactly(sizes[0])
        return lines[0].split()[1]


@asynccontextmanager
async def connect(place: Place, address: str) -> AsyncIterator[Line]:
    """A connection, which is closed at the end of the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port, local_addr=(address, 0), limit=2**24)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


def head(method: str, path: str, size: int) -> bytes:
    """The head of a request with a body of `size` bytes."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {size}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


async def good(place: Place, address: str, tally: Tally) -> None:
    """Reconstruct images on one connection, with a pause after each answer."""
    ends = place.ends()
    async with connect(place, address) as line:
        while time.monotonic() < ends:
            began = time.monotonic()
            status = await line.ask("POST", "/reconstruct", BODY)
            tally.answers[status] += 1
            if status == "200":
                tally.seconds.append(time.monotonic() - began)
            await asyncio.sleep(GOOD_PAUSE)


async def probe(place: Place, address: str, tally: Tally) -> None:
    """Ask once whether the process runs."""
    began = time.monotonic()
    async with connect(place, address) as line:
        tally.answers[await line.ask("GET", "/healthz")] += 1
    tally.seconds.append(time.monotonic() - began)
    await asyncio.sleep(PROBE_PAUSE)


async def slow_head(place: Place, address: str, tally: Tally) -> None:
    """Send a header a second, and never the last one."""
    await drip(place, address, tally, head("GET", "/healthz", 0)[:-2], b"a: b\r\n")


async def slow_body(place: Place, address: str, tally: Tally) -> None:
    """Announce a large body, and send a kilobyte of it a second."""
    await drip(place, address, tally, head("POST", "/encode", 3_900_000), b" " * 1024)


async def drip(place: Place, address: str, tally: Tally, first: bytes, more: bytes) -> None:
    """Send something, and then more of it each second until there is an answer."""
    async with connect(place, address) as line:
        line.writer.write(first)
        answer = asyncio.ensure_future(line.answer())
        try:
            ends = place.ends()
            while not answer.done() and time.monotonic() < ends:
                line.writer.write(more)
                await asyncio.wait([answer], timeout=1.0)
            tally.answers[await answer if answer.done() else "none"] += 1
        finally:
            answer.cancel()
            with suppress(asyncio.CancelledError, OSError, EOFError):
                await answer
    await asyncio.sleep(BACK)


async def storm(place: Place, address: str, tally: Tally) -> None:
    """Connect, ask, and leave without waiting for the answer."""
    async with connect(place, address) as line:
        line.writer.write(head("GET", "/version", 0))
        tally.answers["left"] += 1
    await asyncio.sleep(STORM_PAUSE)


def sending(body: bytes, pause: float) -> Step:
    """Send a body again and again on one connection, with a pause after each answer."""

    async def step(place: Place, address: str, tally: Tally) -> None:
        ends = place.ends()
        async with connect(place, address) as line:
            while time.monotonic() < ends:
                tally.answers[await line.ask("POST", "/reconstruct", body)] += 1
                await asyncio.sleep(pause)

    return step


STORM_PAUSE = 0.2
MANY = json.dumps({"images": np.random.default_rng(0).random((256, 28, 28)).round(2).tolist()}).encode()
ATTACKS: dict[str, tuple[str, int]] = {
    "400 connections send a header a second, and never the last": ("slow head", 400),
    "400 connections send 1 KiB of a body of 3.9 MB a second": ("slow body", 400),
    "4 connections send 3.6 MB of numbers, pausing 1 s": ("large", 4),
    "4 connections send 3.9 MB of empty lists, pausing 1 s": ("bomb", 4),
    "64 connections send 256 images, pausing 0.5 s: 4 × capacity": ("many", 64),
    "64 connections of one address send 8 images without a pause": ("flood", 64),
    "40 clients connect, ask and leave, pausing 0.2 s": ("storm", 40),
}
LARGE_BEFORE = ("many", 64)
"""Large requests before all attacks: the memory that they need once is kept by the allocator."""
STEPS: dict[str, Step] = {
    "good": good,
    "probe": probe,
    "slow head": slow_head,
    "slow body": slow_body,
    "large": sending(LARGE, 1.0),
    "bomb": sending(BOMB, 1.0),
    "many": sending(MANY, 0.5),
    "flood": sending(BODY, 0.0),
    "storm": storm,
}


def usage(process: psutil.Process) -> tuple[int, int]:
    """Memory in bytes, and the number of open descriptors."""
    return process.memory_info().rss, process.num_fds()


def settle(process: psutil.Process, before: tuple[int, int]) -> tuple[int, int]:
    """Memory and descriptors when they are as before, or when SETTLED seconds have passed."""
    until = time.monotonic() + SETTLED
    while has_grown(before, now := usage(process)) and time.monotonic() < until:
        time.sleep(0.5)
    return now


def has_grown(before: tuple[int, int], now: tuple[int, int]) -> bool:
    """Whether memory or descriptors are clearly more than before."""
    return now[0] > before[0] + MOST_GROWTH or now[1] > before[1] + FILES_OF_POOLS


def judge(name: str, quiet: Seen, loud: Seen, usages: tuple[tuple[int, int], ...]) -> tuple[str, list[str]]:
    """The row of an attack, and what did not hold."""
    kept = len(loud.good.seconds) / len(quiet.good.seconds)
    seconds = len(quiet.good.seconds), len(loud.good.seconds)
    slowest = max(loud.probe.seconds)
    lost = sum(count for answer, count in loud.good.answers.items() if answer != "200")
    unanswered = sum(count for answer, count in loud.probe.answers.items() if answer != "200")
    faults = {
        f"/healthz took {1000 * slowest:.0f} ms": slowest > SLOWEST_PROBE,
        f"/healthz failed {unanswered} times": unanswered > 0,
        f"good clients kept {kept:.0%}": kept < LEAST_KEPT,
        f"good clients got {dict(loud.good.answers)}": lost > 0,
        f"memory and descriptors went from {usages[0]} to {usages[-1]}": has_grown(usages[0], usages[-1]),
    }
    answers = ", ".join(f"{count} × {answer}" for answer, count in sorted(loud.bad.answers.items()))
    cells = [
        name,
        answers,
        f"{1000 * np.percentile(loud.probe.seconds, 99):.0f}, {1000 * slowest:.0f}",
        " → ".join(f"{count / loud.seconds:.1f}" for count in seconds),
        f"{kept:.0%}",
        " → ".join(f"{1000 * np.percentile(seen.good.seconds, 99):.0f}" for seen in (quiet, loud)),
        f"{lost}",
        ", ".join(f"{memory / 2**20:.0f}" for memory, _ in usages),
        ", ".join(f"{files}" for _, files in usages),
    ]
    return f"| {' | '.join(cells)} |", [f"{name}: {fault}" for fault, holds_not in faults.items() if holds_not]


if __name__ == "__main__":
    main()
