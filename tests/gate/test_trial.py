"""Serving a candidate, with a stand-in for MLflow's server; the pipeline's tests do it with the real one."""

import json
import os
import sys
import time
from types import SimpleNamespace

import pytest

from vaeline.gate import trial
from vaeline.gate.checks import NOT_RUN, service_checks
from vaeline.gate.statistics import FAIL, PASS
from vaeline.gate.trial import ServiceTrial, serve_and_ask
from vaeline.pyfunc.clean_process import clean_environment
from vaeline.pyfunc.model import MODES

QUESTIONS = {mode: {"inputs": [[1.0], [2.0]], "params": {"mode": mode}} for mode in MODES}
ANSWERS = {mode: {"images": [1.0, 2.0]} for mode in MODES}
GOLDEN = {"backend": "any", "questions": QUESTIONS, "answers": ANSWERS}
SERVER = """
import http.server, json, os, subprocess, sys
port = int(sys.argv[sys.argv.index("--port") + 1])
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
json.dump({"arguments": sys.argv[1:], "child": child.pid, "environment": dict(os.environ), "cwd": os.getcwd()},
          open(os.environ["TOLD"], "w"))

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, {})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        broken = asked["params"]["mode"] == os.environ.get("BROKEN")
        self.answer(500 if broken else 200, {"predictions": {"images": [row[0] for row in asked["inputs"]]}})

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """The stand-in; returns what it was told."""
    (tmp_path / "server.py").write_text(SERVER)
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path}/server.py" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(trial.sys, "executable", str(program))
    monkeypatch.setenv("TOLD", str(tmp_path / "told.json"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    return tmp_path / "told.json"


def judged(found, most_milliseconds):
    """The checks of a trial, by name."""
    facts = SimpleNamespace(golden=GOLDEN, no_golden="")
    gate = SimpleNamespace(budget=SimpleNamespace(milliseconds=most_milliseconds))
    return {check.name: check for check in service_checks(facts, found, False, gate)}


def read(file):
    return json.loads(file.read_text())


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return open(f"/proc/{pid}/stat").read().split()[2] != "Z"


@pytest.mark.usefixtures("processes")
def test_every_mode_is_asked_of_a_clean_server_without_pickle_and_nothing_stays_behind(mlflow):
    service = serve_and_ask("models:/x/1", GOLDEN)
    assert service.problems == []
    assert service.answers == ANSWERS
    assert len(service.milliseconds) == trial.TIMED
    assert all(0 < value < 10_000 for value in service.milliseconds)
    told = read(mlflow)
    command = " ".join(told["arguments"])
    assert "-m mlflow models serve --model-uri models:/x/1 --env-manager local --host 127.0.0.1 --port" in command
    environment = told["environment"]
    assert "PYTHONPATH" not in environment
    assert environment["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert environment["MLFLOW_TRACKING_URI"] == f"sqlite:///{os.getcwd()}/mlflow.db"
    assert told["cwd"] != os.getcwd()
    for _ in range(50):
        if not alive(told["child"]):
            break
        time.sleep(0.1)
    assert not alive(told["child"]), "a process of the server's group lives on"


@pytest.mark.usefixtures("processes")
def test_a_mode_that_is_not_answered_is_named(mlflow, monkeypatch):
    monkeypatch.setenv("BROKEN", "decode")
    checks = judged(serve_and_ask("models:/x/1", GOLDEN), 1e6)
    assert checks["served"].verdict == FAIL
    assert checks["served"].sentence.startswith("decode: answered 500")
    assert (checks["golden"].verdict, checks["latency"].verdict) == (NOT_RUN, NOT_RUN)


@pytest.mark.usefixtures("processes")
def test_a_server_that_does_not_start_is_one_sentence_with_its_last_word(tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\necho "first"\necho "ModelLoadError: it is broken"\nexit 7\n')
    program.chmod(0o755)
    monkeypatch.setattr(trial.sys, "executable", str(program))
    service = serve_and_ask("models:/x/1", GOLDEN)
    assert service.problems == ["`mlflow models serve` ended with status 7: ModelLoadError: it is broken"]


@pytest.mark.usefixtures("processes")
def test_a_server_that_never_answers_is_given_up(tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nsleep 600\n")
    program.chmod(0o755)
    monkeypatch.setattr(trial.sys, "executable", str(program))
    monkeypatch.setattr(trial, "START_SECONDS", 0.5)
    began = time.monotonic()
    assert serve_and_ask("models:/x/1", GOLDEN).problems == [
        "`mlflow models serve` gave no answer in 0.5 seconds: its log is empty"
    ]
    assert time.monotonic() - began < 20


def test_a_model_that_answers_otherwise_than_when_it_was_registered_fails():
    changed = {**ANSWERS, "encode": {"images": [1.0, 2.5]}}
    checks = judged(ServiceTrial(changed, [], [10.0] * 30), 50.0)
    assert {name: check.verdict for name, check in checks.items()} == {"served": PASS, "golden": FAIL, "latency": PASS}
    assert checks["golden"].sentence == "encode: images differs by up to 0.5 (tolerance 0.001)"


def test_the_slow_answers_decide_about_the_latency():
    milliseconds = [10.0] * 27 + [90.0] * 3
    checks = judged(ServiceTrial(ANSWERS, [], milliseconds), 50.0)
    assert checks["latency"].verdict == FAIL
    assert checks["latency"].value > 50


def test_a_store_elsewhere_keeps_its_address(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert clean_environment()["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5000"


def test_a_model_that_has_failed_or_has_no_golden_outputs_is_not_served():
    facts = SimpleNamespace(golden=None, no_golden="it has no golden outputs")
    failed = {check.name: check.verdict for check in service_checks(facts, None, True, None)}
    assert failed == {"served": NOT_RUN, "golden": NOT_RUN, "latency": NOT_RUN}
    missing = {check.name: check for check in service_checks(facts, None, False, None)}
    assert (missing["golden"].verdict, missing["golden"].sentence) == (FAIL, "it has no golden outputs")
    assert missing["served"].verdict == missing["latency"].verdict == NOT_RUN
