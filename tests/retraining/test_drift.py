import json
from types import SimpleNamespace

import pytest

from vaeline.errors import VaelineError
from vaeline.reports import MONITOR
from vaeline.retraining.drift import newest_verdict

NO_RUNS = SimpleNamespace(get_experiment_by_name=lambda name: None)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    MONITOR.parent.mkdir()


def test_a_verdict_on_disk_counts_if_it_is_about_this_champion():
    verdict = {"champion": {"digest": "d"}, "created": "2026-11-20T00:00:00+00:00", "triggered": True}
    assert newest_verdict(NO_RUNS, "d") is None
    MONITOR.write_text(json.dumps(verdict))
    assert newest_verdict(NO_RUNS, "d") == verdict
    assert newest_verdict(NO_RUNS, "e") is None


@pytest.mark.parametrize("text", ["", "[]", '{"champion": {"digest": "d"}}'])
def test_a_verdict_that_cannot_be_read_is_a_sentence(text):
    MONITOR.write_text(text)
    with pytest.raises(VaelineError, match=r"reports/monitor\.json: not a verdict of `vaeline monitor`"):
        newest_verdict(NO_RUNS, "d")
