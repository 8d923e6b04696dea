"""Versions, aliases, runs and moves of the champion that do not exist or make no sense."""

import pytest
from bad_input.refusal import check_refused
from registry.conftest import OUTSIDE
from stores import forget_artifacts

NO_VERSION = ("no such registered version", "vae-digits")
NO_NAME = ("models:/name/version or models:/name@alias",)
NEVER = ("was never champion; the champions were: 1, 2",)

ROWS = [
    ("promote 99", ("models:/vae-digits-candidates/99", *NO_VERSION)),
    ("promote 0", NO_VERSION),
    ("promote 99999999999999999999999", NO_VERSION),
    ("promote 1.0", ("'1.0'",)),
    ("promote one", ("'one'", "make ui")),
    ("promote ²", ("'²'",)),
    ("promote models:/vae-digits-candidates/x", NO_NAME),
    ("promote models:/nope/1", ("models:/nope/1", "no such registered version")),
    ("promote models:/vae-digits@nope", ("models:/vae-digits@nope",)),
    ("promote models:/vae-digits", NO_NAME),
    ("promote models:/vae-digits/latest", NO_NAME),
    ("promote models:/vae-digits@champion/1", NO_NAME),
    ("promote 3", ("has no gate report; run `vaeline gate 3`",)),
    ("promote 3 --replaces 9", ("--replaces 9", "version 2")),
    ("promote 3 --replaces x", ("--replaces x",)),
    ("promote", ("Missing argument",)),
    ("rollback", ("Missing option '--reason'",)),
    (("rollback", "--reason", ""), ("a rollback needs a --reason",)),
    (("rollback", "--reason", "  \n"), ("a rollback needs a --reason",)),
    (("rollback", "--reason", "x" * 10_000), ("6,000 characters at most; give a shorter reason",)),
    ("rollback --reason why --to 9", ("--to 9", *NEVER)),
    ("rollback --reason why --to one", ("--to one", *NEVER)),
    ("rollback --reason why --to -1", ("--to -1", *NEVER)),
    ("rollback --reason why --to 2", ("2",)),
    ("verify nope", ("'nope'", "make ui")),
    ("verify models:/vae-digits/9", NO_VERSION),
    ("verify models:/vae-digits@nope", ("models:/vae-digits@nope",)),
    ("lineage models:/vae-digits/9", NO_VERSION),
    ("lineage models:/vae-digits@nope", ("models:/vae-digits@nope",)),
    ("lineage nope", ("nothing has the name 'nope'", "models:/name/version")),
    ("lineage test/abc", ("test/abc",)),
    ("lineage test/999999", ("data/prepared", "dvc repro prepare")),
    ("history --export a-file", ("a-file",)),
    ("history --export a-file/x", ("a-file/x: cannot be written",)),
    ("history --export /proc/x.jsonl", ("/proc/x.jsonl: cannot be written",)),
    ("history --export .", (".",)),
    ("registry sign 1", ("no key to sign with: VAELINE_SIGNING_KEY",)),
    ("registry gc", ("no git branches here",)),
    ("compare a b", ("there is no run 'a'",)),
    ("compare . .", ("dvc repro",)),
    ("sample --model models:/vae-digits/9", NO_VERSION),
    ("sample --model models:/vae-digits@nope", ("models:/vae-digits@nope",)),
    ("sample --model models:/vae-digits", NO_NAME),
    ("sample --model nope", ("no model file, run or registered model is called 'nope'",)),
    ("gate 99", ("data/prepared", "dvc repro prepare")),
    ("summary", ("no reports/registration.json",)),
]


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(("line", "words"), ROWS, ids=[str(line)[:50] for line, _ in ROWS])
def test_a_version_or_a_move_that_makes_no_sense_is_refused(registry, monkeypatch, line, words):
    forget_artifacts(monkeypatch)
    monkeypatch.setattr("vaeline.registry.rollback.try_stored", lambda stored: None)
    for variable in OUTSIDE:
        monkeypatch.delenv(variable, raising=False)
    check_refused(registry, line.split() if isinstance(line, str) else line, words, monkeypatch)
