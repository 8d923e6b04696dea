import io
import logging
import os
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import requests
from conftest import ROOT

from vaeline.process_start import prepare_process

DIRECT = "127.0.0.1,localhost,::1"


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")  # so that monkeypatch puts back what was there
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    made = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(made)


def test_a_server_on_this_machine_is_reached_without_the_proxy(monkeypatch, tmp_path):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "intern.example.org, localhost")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    with pytest.raises(requests.ConnectionError):
        requests.get(address, timeout=5)
    prepare_process()
    prepare_process()
    assert requests.get(address, timeout=5).ok
    assert sys.modules["os"].environ["NO_PROXY"] == f"intern.example.org,{DIRECT}"
    with pytest.raises(requests.ConnectionError):
        requests.get("http://example.invalid", timeout=5)
    server.shutdown()
    server.server_close()


def test_without_a_proxy_the_environment_stays():
    prepare_process()
    assert "NO_PROXY" not in sys.modules["os"].environ


def test_every_character_can_be_printed_in_any_locale(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    prepare_process()
    print("−ELBO", flush=True)
    assert written.getvalue() == b"?ELBO\n"


@pytest.mark.usefixtures("processes")
def test_names_of_files_are_utf8_in_any_locale(tmp_path):
    (tmp_path / "ü").mkdir()
    script = tmp_path / "script.py"
    script.write_text(
        "import os, subprocess, sys\n"
        "from vaeline.process_start import prepare_process\n"
        "prepare_process()\n"
        "os.mkdir(sys.argv[1] + '/數')\n"
        "print(ascii(sys.argv[1]), '數', flush=True)\n"
        "subprocess.run([sys.executable, '-c', 'import sys; print(sys.getfilesystemencoding())'], check=True)\n",
        encoding="utf-8",
    )
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT / "src"), "PATH": os.environ["PATH"]}
    command = [sys.executable, str(script), str(tmp_path / "ü")]
    said = subprocess.run(command, env=ascii_only, capture_output=True, check=True).stdout
    assert said.decode("ascii").splitlines() == [ascii(str(tmp_path / "ü")) + " ?", "utf-8"]
    assert (tmp_path / "ü/數").is_dir()
