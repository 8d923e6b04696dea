"""Secrets are planted wherever a command takes an address, and looked for in all that the command wrote and said."""

import logging
import shutil
import sys
import threading
from collections.abc import Callable, Generator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from cli.test_documentation import COMMANDS
from conftest import ROOT
from typer.testing import CliRunner

from vaeline.cli import app
from vaeline.data.accepted import ACCEPTED
from vaeline.errors import run_stage
from vaeline.ingestion import accept
from vaeline.ingestion import ingest as ingestion
from vaeline.params.whole import change_params
from vaeline.serving.follower import Follower
from vaeline.validation.checkpoint import FailedExpectation, Verdict

SECRETS = ("planted/with", "pl4nted+too", "planted%20token")
LOGIN, QUERY = f"user:{SECRETS[0]}/and-{SECRETS[1]}", f"token={SECRETS[2]}"
PARTS = ("planted", "pl4nted", "and-pl")
NOWHERE = f"http://{LOGIN}@127.0.0.1:9/x.keras?{QUERY}"
STORES = [
    f"http://{LOGIN}@127.0.0.1:9/?{QUERY}",
    f"postgresql://{LOGIN}@127.0.0.1:9/db?application_name={SECRETS[2]}",
    f"sqlserver://{LOGIN}@127.0.0.1/db",
]
WITH_MODEL = {
    name: (*arguments, "--model", NOWHERE)
    for name, arguments in {
        "sample": (),
        "reconstruct": (NOWHERE,),
        "interpolate": (NOWHERE, NOWHERE),
        "traverse": (),
        "edit": (NOWHERE,),
        "restore": ("inpaint", NOWHERE),
        "anomaly": (NOWHERE,),
        "encode": (NOWHERE,),
        "decode": (NOWHERE,),
        "augment": (),
        "compress": (NOWHERE,),
        "decompress": (NOWHERE,),
        "export": (),
    }.items()
}
ARGUMENTS = WITH_MODEL | {
    "compare": (NOWHERE, NOWHERE),
    "ingest": (NOWHERE,),
    "simulate": ("clean", "--out", NOWHERE),
    "gate": (NOWHERE,),
    "monitor": (NOWHERE,),
    "run": ("--preset", NOWHERE),
    "preset": (NOWHERE,),
    "summary": (),
    "validate": (NOWHERE,),
    "profile": (NOWHERE, "--name", "x"),
    "lineage": (NOWHERE,),
    "verify": (NOWHERE,),
    "promote": (NOWHERE,),
    "rollback": ("--reason", NOWHERE),
    "history": (),
    "report": ("--base", NOWHERE),
    "retrain": (),
    "overdue": (),
    "push": (),
    "score": (NOWHERE, NOWHERE, "--model", NOWHERE, "--address", f"ray://{LOGIN}@127.0.0.1:9"),
    "sweep": (NOWHERE, "--address", f"ray://{LOGIN}@127.0.0.1:9"),
    "registry check": (),
    "registry gc": (),
    "registry restore": (),
    "registry sign": (NOWHERE,),
    "server grant": ("digits",),
    "server user": ("somebody",),
    "track sync": (),
    "track ui": (),
    "track relocate": (),
}
NOT_RUN = {"serve", "server start", "thresholds"}  # the first has a test of its own, the others take no address


@pytest.fixture
def place(desk: Path, prepared_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """A repository with a model, prepared data and a DVC remote, to which addresses with secrets lead."""
    root = tmp_path / "place"
    shutil.copytree(desk, root)
    shutil.copytree(prepared_directory, root / "data/prepared")
    for name in ("data/accepted", "data/profiles", "presets"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("2*.json"))
    for name in ("dvc.yaml", "params.yaml", "requirements.lock"):
        shutil.copy(ROOT / name, root)
    (root / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    (root / "reports/registration.json").write_text('{"name": "vae-digits-candidates", "model_sha256": "0"}')
    monkeypatch.chdir(root)
    change_params({"data.dataset": "digits"}, Path("params.yaml"))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("VAELINE_MIRROR", NOWHERE)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    made = logging.getLogRecordFactory()
    yield root
    logging.setLogRecordFactory(made)


@pytest.fixture
def said(capfd, caplog) -> Callable[..., str]:
    """Run a command, and return all that it and its processes said."""

    def run(*words: str) -> str:
        answer = CliRunner().invoke(app, list(words))
        assert answer.exception is None or isinstance(answer.exception, SystemExit), (words, answer.exception)
        text = answer.output + "".join(capfd.readouterr()) + caplog.text
        caplog.clear()
        return text

    return run


def leaks(text: str) -> list[str]:
    """The lines with a part of a secret."""
    return [line for line in text.splitlines() if any(part in line for part in PARTS)]


def leaky_files(folder: Path) -> list[str]:
    """The files below a folder whose content or name has a part of a secret, each with what is around it."""
    found = []
    for file in folder.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        for part in PARTS:
            if part in file.name or part.encode() in content:
                start = max(content.find(part.encode()) - 60, 0)
                found.append(f"{file.relative_to(folder)}: {content[start : start + 120]!r}")
    return found


def test_every_command_is_tried():
    assert COMMANDS.keys() == ARGUMENTS.keys() | NOT_RUN


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("store", STORES, ids=lambda store: store.partition(":")[0])
def test_no_command_repeats_the_secrets_of_the_store(place, said, monkeypatch, store):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    for name in ("track sync", "summary", "history", "track ui"):
        text = said(*name.split())
        assert "vaeline: " in text, name
        assert not leaks(text), name
    assert not leaky_files(place)


@pytest.mark.usefixtures("processes")
def test_no_command_repeats_the_secrets_of_an_address(place, said, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", STORES[0])
    said_by = {name: said(*name.split(), *arguments) for name, arguments in ARGUMENTS.items()}
    assert {name: leaks(text) for name, text in said_by.items() if leaks(text)} == {}
    assert not leaky_files(place)


@pytest.mark.usefixtures("processes")
def test_what_is_ingested_from_an_address_has_no_secret_of_it(place, said, monkeypatch, tmp_path):
    verdict = Verdict("digits", 3, {"batch": 1}, [])
    failed = FailedExpectation("border of every image", "1 of 60", {}, 1, ["batch/2"])
    verdicts = {"good.npz": verdict, "bad.npz": Verdict("digits", 3, {"batch": 1}, [failed])}
    rng = np.random.default_rng(1)
    (tmp_path / "served").mkdir()
    for name in verdicts:
        np.savez(tmp_path / "served" / name, images=rng.integers(0, 255, (20, 28, 28), "uint8"))
    monkeypatch.setattr(accept, "track", lambda batch: None)
    with serving(tmp_path / "served") as port:
        for name, outcome in verdicts.items():
            monkeypatch.setattr(ingestion, "check", check_as(outcome))
            text = said("ingest", f"http://user:{SECRETS[1]}@127.0.0.1:{port}/{name}?{QUERY}")
            assert ("accepted     good.npz" if name == "good.npz" else "quarantined  bad.npz") in text
            assert not leaks(text)
    (record,) = ACCEPTED.glob("2*.json")
    assert f"http://127.0.0.1:{port}/good.npz" in record.read_text()
    assert "bad.npz" in Path("reports/ingest.json").read_text()
    assert not leaky_files(place)


def check_as(outcome: Verdict) -> Callable[..., Verdict]:
    """Take the place of the validation, which is not what this is about."""

    def check(rows, rules, docs):
        docs.mkdir(parents=True, exist_ok=True)
        return outcome

    return check


class Quiet(SimpleHTTPRequestHandler):
    """A server of files that logs nothing."""

    def log_message(self, *arguments):
        pass


class serving:  # noqa: N801 (used as a function)
    """Serve a folder on a free port of the loopback."""

    def __init__(self, folder: Path) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *arguments: Quiet(*arguments, directory=str(folder)))

    def __enter__(self) -> int:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self.server.server_port

    def __exit__(self, *arguments: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_the_service_does_not_log_the_secrets_of_its_model(place, said, monkeypatch, caplog):
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: None)
    monkeypatch.setattr(Follower, "start", lambda self: self.look())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", STORES[0])
    for model in (NOWHERE, NOWHERE.partition("?")[0], f"s3://{LOGIN}@bucket/model"):
        text = said("serve", "--model", model, "--port", "0")
        assert "following" in text
        assert not leaks(text)


@pytest.mark.usefixtures("processes")
def test_a_stage_does_not_repeat_the_secrets_of_a_mirror_or_of_params(place, capfd):
    from vaeline.data.sources import download

    def fetch():
        download("mnist", Path("data/raw"), Path("cache"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaeline.data.sources.GIVE_UP_AFTER_SECONDS", 0)
        with pytest.raises(SystemExit) as stop:
            run_stage(fetch)
    assert "could not be downloaded" in str(stop.value)
    assert not leaks(str(stop.value) + "".join(capfd.readouterr()))
    text = Path("params.yaml").read_text()
    for key in ("dataset: digits", "source: data/incoming"):
        assert key in text
        Path("params.yaml").write_text(text.replace(key, f"{key.partition(':')[0]}: {NOWHERE}"))
        answer = CliRunner().invoke(app, ["ingest"])
        assert "git keeps this file" in answer.output or "is an address" in answer.output
        assert not leaks(answer.output)
