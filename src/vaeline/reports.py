"""The reports of commands that other commands read. No stage makes them, so dvc.yaml does not name them."""

from pathlib import Path

INGEST = Path("reports/ingest.json")
GATE = Path("reports/gate.json")
MONITOR = Path("reports/monitor.json")
