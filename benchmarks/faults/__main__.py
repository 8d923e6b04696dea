"""Try every fault of the catalogue as often as it says, and write the table of what came of each.

    python benchmarks/faults [OPTION OF PYTEST ...]     writes benchmarks/faults/table.md, unless options are given

The faults are tests: tests/fault. Each try has a seed, which decides its moment. The exit status is 1 if one failed.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from vaeline.artifacts import atomic_file

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("table.md")
RECORDS = "VAELINE_FAULTS"
PYTEST = (sys.executable, "-m", "pytest", "--numprocesses", "2", "--dist", "worksteal", "tests/fault")


def main() -> None:
    options = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        status = subprocess.run(
            [*PYTEST, *options], cwd=ROOT, env=os.environ | {RECORDS: folder}, check=False
        ).returncode
        tries = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(Path(folder).glob("*.json"))]
    found = page(tries)
    print(found)
    if not options:
        with atomic_file(TABLE) as temporary:
            temporary.write_text(found, encoding="utf-8")
    sys.exit(status)


def page(tries: list[dict[str, Any]]) -> str:
    """The summary and a row for each fault: how often it was tried, what came of it, what was lost, and the seeds."""
    by_fault = defaultdict(list)
    for each in tries:
        by_fault[each["fault"]].append(each)
    failed = [each for each in tries if each["outcome"] == "failed"]
    lines = [
        f"{len(tries)} tries of {len(by_fault)} faults; {len(failed)} did not end as they must. Made by `make faults`.",
        "",
        "| fault | tries | outcome | lost, or where it was stopped | seeds that failed |",
        "|---|---|---|---|---|",
    ]
    for fault, of_it in by_fault.items():
        outcomes = sorted({each["outcome"] for each in of_it} - {"failed"})
        lost = sorted({each["lost"] for each in of_it})
        seeds = ", ".join(str(each["seed"]) for each in of_it if each["outcome"] == "failed")
        cells = [fault, str(len(of_it)), "; ".join(outcomes) or "failed", "; ".join(lost), seeds or "–"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
