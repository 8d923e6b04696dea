"""The outputs of the pipeline that code asks for by name; which stage makes one is read from dvc.yaml (`stages`)."""

RAW = "data/raw"
PREPARED = "data/prepared"
VALIDATION = "reports/validation.json"
CLASSIFIER = "models/classifier.keras"
MODEL = "models/vae.keras"
HISTORY = "reports/history.csv"
METRICS = "reports/metrics.json"
