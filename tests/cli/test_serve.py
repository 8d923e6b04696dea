from pathlib import Path

import pytest
from conftest import ROOT
from typer.testing import CliRunner

from vaeline.cli import app
from vaeline.params.whole import change_params
from vaeline.serving import server
from vaeline.serving.settings import Settings


@pytest.fixture
def serve(monkeypatch, tmp_path):
    """Run `vaeline serve` in a folder with params.yaml; what it would serve is kept."""
    asked = []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.setattr(server, "serve", lambda *arguments: asked.append(arguments))

    def run(*arguments):
        answer = CliRunner().invoke(app, ["serve", *arguments], catch_exceptions=False)
        return answer, asked[-1] if asked else None

    return run


def test_it_serves_the_champion_of_the_data_set(serve):
    change_params({"data.dataset": "data/own/Letters A.npz"}, Path("params.yaml"))
    answer, asked = serve()
    assert answer.exit_code == 0, answer.output
    assert asked == (Settings("models:/vae-letters-a@champion"), "127.0.0.1", 8000, [])


def test_every_option_is_heeded(serve):
    Path("params.yaml").unlink()
    options = {
        "interval": 1.5,
        "most-bytes": 10,
        "most-images": 20,
        "most-elements": 25,
        "batch": 30,
        "wait": 0.5,
        "queue": 40,
        "timeout": 2.5,
        "head-timeout": 3.5,
        "connections": 45,
        "client-connections": 5,
        "bodies": 6,
        "rate": 0.5,
        "burst": 50,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    names = ["--allowed-host", "vae.example.org", "--allowed-host", "*.intern.example"]
    _, asked = serve(
        "-m", "a.keras", "--host", "::1", "--port", "0", "--proxy", "10.0.0.1", "--proxy", "::1", *names, *words
    )
    values = {name.replace("-", "_"): value for name, value in options.items()}
    settings = Settings("a.keras", **values, allowed_hosts=("vae.example.org", "*.intern.example"))
    assert asked == (settings, "::1", 0, ["10.0.0.1", "::1"])


@pytest.mark.parametrize(
    "option",
    [
        "most-bytes",
        "most-images",
        "batch",
        "queue",
        "burst",
        "timeout",
        "interval",
        "head-timeout",
        "connections",
        "bodies",
    ],
)
def test_a_limit_of_nothing_is_refused(serve, option):
    answer, asked = serve(f"--{option}", "0")
    assert answer.exit_code == 2
    assert asked is None


def test_without_params_a_model_must_be_named(serve):
    Path("params.yaml").unlink()
    answer, asked = serve()
    assert answer.exit_code == 1
    assert answer.stderr == "vaeline: params.yaml: not found; run from the repository's root\n"
    assert asked is None
