"""The command `vaeline`. Commands import what they need only when they run, so that `--help` is fast."""

from vaeline.cli import (
    compare,
    data,
    export,
    gate,
    model,
    monitor,
    pipeline,
    provenance,
    registry,
    report,
    retrain,
    scoring,
    serve,
    server,
    storage,
    thresholds,
    track,
)
from vaeline.cli.app import app

__all__ = [
    "app",
    "compare",
    "data",
    "export",
    "gate",
    "model",
    "monitor",
    "pipeline",
    "provenance",
    "registry",
    "report",
    "retrain",
    "scoring",
    "serve",
    "server",
    "storage",
    "thresholds",
    "track",
]
