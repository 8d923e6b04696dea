"""How well the model tells strange images from test images."""

from collections.abc import Mapping

import numpy as np

from vaeline.applications.anomaly import OneClass, anomaly_scores
from vaeline.evaluation.anomaly import ALTERATIONS, alter, separation_table
from vaeline.evaluation.summary import nested
from vaeline.scorecard.subject import Part, Subject


def measure_anomalies(subject: Subject, one_class: OneClass, others: Mapping[str, np.ndarray]) -> Part:
    """AUROC and average precision of every score against altered test images and `others`, images by name."""

    def scores(greys: np.ndarray) -> dict[str, np.ndarray]:
        rows = np.arange(len(greys))
        return anomaly_scores(subject.model, subject.as_trained(greys, rows), rows, subject.seed, one_class)

    usual = scores(subject.greys)
    strange = {kind: scores(alter(subject.greys, kind, subject.seed)) for kind in ALTERATIONS}
    strange |= {name: scores(images) for name, images in others.items()}
    table = separation_table(usual, strange, subject.seed)
    protocol = {
        "usual": f"{len(subject.rows)} test images",
        "strange": f"as many, altered; rotation by 90 degrees; other data sets: {', '.join(others) or 'none'}",
        "pixels": subject.pixels,
        "one_class": "Gaussian mixture over reconstruction, squared error and mean pixel, training images",
        "errors": "auroc: DeLong; average_precision: 50 resamplings",
    }
    return Part(nested(table, ["kind", "score"]), protocol, {"one_class": usual["one_class"]}, table)
