"""The topics that `evaluate` measures and `plot` draws: one line each, in the order in which they are measured.

A topic is a package of vaeline. Its `measure.py` names its group of metrics as GROUP. Its `figure.py`, if it has one,
names the function that draws its figures as FIGURES.
"""

TOPICS = (
    "likelihood",
    "latents",
    "samples",
    "anomaly",
    "restoration",
    "compression",
    "codes",
    "conditional",
    "defects",
)
