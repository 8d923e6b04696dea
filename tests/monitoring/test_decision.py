"""A champion that watches windows, from files to verdict, page and run, by the command and below it."""

import json
import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vaeline import compute
from vaeline.cli import app
from vaeline.errors import VaelineError
from vaeline.monitoring import decision, figures
from vaeline.monitoring.record import MONITORING, read_history
from vaeline.tracking.comparison import resolve_run
from vaeline.tracking.store import open_store

CONTRACT = {"champion", "window", "tests", "violated", "history", "triggered", "created"}


@pytest.fixture(autouse=True)
def _in_the_shop(shop, monkeypatch):
    monkeypatch.chdir(shop)
    monkeypatch.setattr(compute, "fix_threads", lambda threads: None)  # TensorFlow may run already
    monkeypatch.setattr(decision, "draw_figures", lambda *arguments: {})  # they take longer than all the rest


@pytest.fixture(autouse=True)
def _no_history(shop):
    client = open_store()
    if found := client.get_experiment_by_name(MONITORING):
        for each in client.search_runs([found.experiment_id]):
            client.delete_run(each.info.run_id)


@pytest.fixture
def monitor(batch, tmp_path):
    """Look at a simulated batch: exit status and what monitor.json says."""

    def look(kind, seed, *options, strength=None, labelled=True):
        drawn = batch(kind, 150, seed, strength)
        path = tmp_path / f"{kind}-{seed}.npz"
        np.savez(path, images=drawn.images, **({"labels": drawn.labels} if labelled else {}))
        done = CliRunner().invoke(app, ["monitor", str(path), *options], catch_exceptions=False)
        assert done.exit_code in (0, 3, 4), done.output
        return done.exit_code, json.loads(Path("reports/monitor.json").read_text()), done.output

    return look


def test_two_bad_windows_of_three_trigger_and_the_same_images_count_once(monitor):
    statuses = [monitor("clean", 1)[0], monitor("noisy", 2)[0]]
    status, verdict, output = monitor("noisy", 2)
    assert [*statuses, status] == [0, 3, 3], "looked at again, it is still one window"
    assert [past["violated"] for past in verdict["history"]] == [False, True]
    assert "this window differs from the reference (" in " ".join(output.split())
    status, verdict, _ = monitor("noisy", 3)
    assert status == 4
    assert verdict["triggered"]
    assert [past["violated"] for past in verdict["history"]] == [False, True, True]
    status, verdict, _ = monitor("clean", 4)
    assert (status, verdict["violated"]) == (4, False), "two of the last three still are"
    status, verdict, _ = monitor("clean", 5)
    assert status == 0
    assert [past["violated"] for past in verdict["history"]] == [True, False, False], "the last three, and no more"


def test_the_verdict_is_what_the_contract_names(monitor, shop):
    _, verdict, _ = monitor("clean", 1)
    assert set(verdict) >= CONTRACT
    assert set(verdict["champion"]) >= {"version", "digest"}
    assert verdict["champion"]["version"] == "1"
    assert set(verdict["window"]) >= {"source", "rows", "sha256", "labelled"}
    assert verdict["window"]["rows"] == 150
    assert verdict["window"]["labelled"]
    assert verdict["reference"] == {"rows": 125, "champions_own": True}
    for test in verdict["tests"]:
        assert set(test) == {"name", "statistic", "p", "p_adjusted", "effect", "least_effect", "violated"}
    assert [test["name"] for test in verdict["tests"]][-2:] == ["class_mix", "labels"]
    assert datetime.fromisoformat(verdict["created"]).tzinfo
    _, bare, _ = monitor("clean", 2, labelled=False)
    assert "class_mix" not in {test["name"] for test in bare["tests"]}
    _, bare, _ = monitor("clean", 3, "--no-labels")
    assert not bare["window"]["labelled"]


def test_the_page_needs_no_other_file(monitor, monkeypatch):
    monkeypatch.setattr(decision, "draw_figures", figures.draw_figures)
    monitor("poisoned", 1)
    page = Path("reports/monitor.html").read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == 5
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "<script" not in page
    assert "url(" not in page
    for word in ("Drift:", "p (Holm)", "least effect", "labels that fit", "this window", "Class mix"):
        assert word in page


def test_a_hostile_name_stays_text(batch, tmp_path):
    folder = tmp_path / "<img src=x onerror=alert(1)>"
    folder.mkdir()
    np.savez(folder / "a.npz", images=batch("clean", 60, 1).images)
    CliRunner().invoke(app, ["monitor", str(folder / "a.npz")], catch_exceptions=False)
    page = Path("reports/monitor.html").read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_the_run_tells_the_same_and_is_no_training(monitor):
    _, verdict, _ = monitor("noisy", 1)
    client = open_store()
    experiment = client.get_experiment_by_name("monitoring")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.tags["vaeline.violated"] == "true"
    assert found.data.tags["vaeline.champion_digest"] == verdict["champion"]["digest"]
    assert "vaeline.model_digest" not in found.data.tags
    assert found.data.metrics["neg_elbo/effect"] == pytest.approx(verdict["tests"][0]["effect"], abs=1e-5)
    assert found.data.params["monitor.k"] == "2"
    assert {item.path for item in client.list_artifacts(found.info.run_id)} == {"monitor.html", "monitor.json"}
    with pytest.raises(VaelineError, match="no run"):
        resolve_run(client, found.info.run_name)
    assert len(read_history(client, verdict["champion"]["digest"])) == 1
    assert read_history(client, "0" * 64) == [], "another champion starts anew"


def test_what_broke_off_is_not_history(monitor):
    _, verdict, _ = monitor("noisy", 1)
    client = open_store()
    (found,) = client.search_runs([client.get_experiment_by_name(MONITORING).experiment_id])
    client.update_run(found.info.run_id, status="RUNNING")
    assert read_history(client, verdict["champion"]["digest"]) == []
    monitor("noisy", 1)
    assert len(read_history(client, verdict["champion"]["digest"])) == 1


def test_what_cannot_be_looked_at_is_one_sentence(tmp_path, shop, monkeypatch):
    done = CliRunner().invoke(app, ["monitor", str(tmp_path / "nothing")])
    assert done.exit_code == 1
    assert "no such file or folder" in done.output
    client = open_store()
    client.delete_registered_model_alias("vae-digits", "champion")
    np.savez(tmp_path / "a.npz", images=np.zeros((60, 28, 28), "uint8"))
    done = CliRunner().invoke(app, ["monitor", str(tmp_path / "a.npz")])
    client.set_registered_model_alias("vae-digits", "champion", "1")
    assert done.exit_code == 1
    assert done.output.startswith("vaeline: vae-digits has versions, but none of them is @champion")
