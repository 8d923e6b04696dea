"""Look up the packages of the locks among known vulnerabilities: python scripts/audit.py LOCK...

Without a network, it says that nothing was looked up and ends with status 0. Found vulnerabilities end it with 1.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

NO_ANSWER = re.compile("ConnectionError|ConnectTimeout|ReadTimeout|Max retries|Could not connect|ServiceError")


def main(locks: list[str]) -> int:
    """Audit the locks and print the result. Returns the exit status."""
    found: dict[str, list[str]] = {}
    unknown: set[str] = set()
    for lock in locks:
        for package in audit(lock):
            name = f"{package['name']} {package.get('version', '')}".strip()
            if "skip_reason" in package:
                unknown.add(name)
            else:
                found[name] = [describe(item) for item in package["vulns"]]
    if not found:
        print("audit: no list of vulnerabilities can be read from here, so no package was looked up", file=sys.stderr)
        return 0
    bad = {name: vulnerabilities for name, vulnerabilities in found.items() if vulnerabilities}
    for name, vulnerabilities in sorted(bad.items()):
        print(f"{name}: {'; '.join(vulnerabilities)}")
    left = f", {len(unknown)} could not be looked up: {', '.join(sorted(unknown))}" if unknown else ""
    print(f"audit: {len(found)} packages of {len(locks)} locks, {len(bad)} with known vulnerabilities{left}")
    return 1 if bad else 0


def audit(lock: str) -> list[dict[str, Any]]:
    """The packages of a lock as pip-audit reports them; none if its source does not answer. Raises SystemExit."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "audit.json"
        options = ["--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
        command = [sys.executable, "-m", "pip_audit", *options, "--output", str(report), "--requirement", lock]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if report.is_file() and report.stat().st_size:
            return json.loads(report.read_text(encoding="utf-8"))["dependencies"]
    if not NO_ANSWER.search(done.stderr):
        raise SystemExit(f"audit: {lock}: pip-audit failed: {' '.join(done.stderr.split())[-300:]}")
    return []


def describe(vulnerability: dict[str, Any]) -> str:
    """A vulnerability with the versions that have it no more."""
    fixed = ", ".join(vulnerability.get("fix_versions", [])) or "no version yet"
    return f"{vulnerability['id']} (fixed in {fixed})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
