"""The audit of the locks: what it found, and what it does where no list of vulnerabilities can be read."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT

pytestmark = pytest.mark.usefixtures("processes")
CLEAN = {"name": "numpy", "version": "2.0", "vulns": []}
BAD = {"name": "pillow", "version": "9.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["9.1"]}]}
UNKNOWN = {"name": "keras", "skip_reason": "Dependency not found"}
PROGRAM = """
import json, sys
report, said = {report!r}, {said!r}
if report is not None:
    open(sys.argv[sys.argv.index("--output") + 1], "w").write(json.dumps({{"dependencies": report}}))
sys.exit(said)
"""


@pytest.mark.parametrize(
    ("report", "said", "status", "answer"),
    [
        ([CLEAN], "", 0, "audit: 1 packages of 1 locks, 0 with known vulnerabilities\n"),
        ([CLEAN, BAD], "", 1, "pillow 9.0: PYSEC-1 (fixed in 9.1)\naudit: 2 packages of 1 locks, 1 with known"),
        ([CLEAN, UNKNOWN], "", 0, "0 with known vulnerabilities, 1 could not be looked up: keras"),
        ([UNKNOWN], "", 0, "audit: no list of vulnerabilities can be read from here"),
        (None, "requests.exceptions.ConnectionError: no route", 0, "audit: no list of vulnerabilities can be read"),
        (None, "invalid specifier at line 1", 1, "audit: some.lock: pip-audit failed: invalid specifier at line 1"),
    ],
)
def test_what_is_found_decides_and_a_missing_network_does_not(tmp_path, report, said, status, answer):
    (tmp_path / "pip_audit.py").write_text(PROGRAM.format(report=report, said=said))
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/audit.py"), "some.lock"],
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert answer in done.stdout + done.stderr


def test_every_lock_is_audited():
    assert json.dumps("*.lock")[1:-1] in (ROOT / "Makefile").read_text().split("\naudit:")[1].splitlines()[1]
