"""Detection of OOD images: AUROC and average precision of each score."""

from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float

from vaeline.anomaly.one_class import DENSITIES, anomaly_scores
from vaeline.anomaly.separation import RESAMPLES, alter, alterations_of, separation_table
from vaeline.evaluation.group import Density, Group
from vaeline.evaluation.subject import Measured, Subject
from vaeline.evaluation.summary import nested
from vaeline.images.lazy import LazyImages


def measure_anomalies(
    subject: Subject,
    densities: Mapping[str, Density],
    others: Mapping[str, LazyImages],
    alterations: Iterable[str] | None = None,
) -> Measured:
    """AUROC and average precision of every score against altered test images and `others`, images by name.

    Without `alterations`, all alterations that fit the image size are used.
    """
    kinds = alterations_of(subject.model.image) if alterations is None else alterations

    def scores(images: LazyImages) -> dict[str, Float[np.ndarray, " count"]]:
        rows = np.arange(len(images))
        return anomaly_scores(subject.model, subject.as_trained(images, rows), rows, subject.seed, densities)

    def altered(kind: str) -> LazyImages:
        return subject.original_images.changed(lambda images, rows: alter(images, kind, subject.seed, rows))

    usual = scores(subject.original_images)
    ood = {kind: scores(altered(kind)) for kind in kinds}
    ood |= {name: scores(images) for name, images in others.items()}
    table = separation_table(usual, ood, subject.seed)
    protocol = {
        "usual": f"{len(subject.rows)} test images",
        "strange": f"as many, altered; rotation by 90 degrees; other data sets: {', '.join(others) or 'none'}",
        "pixels": subject.pixels,
        **{name: f"Gaussian mixture over {', '.join(names)} of training images" for name, names in DENSITIES.items()},
        "errors": f"auroc: DeLong; average_precision: {RESAMPLES} resamplings",
    }
    return Measured(nested(table, ["kind", "score"]), protocol, {name: usual[name] for name in densities}, table)


GROUP = Group(
    "ood",
    lambda inputs: measure_anomalies(inputs.subject, inputs.densities, inputs.ood_images),
    csv="anomaly.csv",
)
