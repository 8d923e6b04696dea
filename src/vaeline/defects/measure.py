"""Detection of defects: how well heat maps and scores tell defective test images and pixels from good ones.

The model and each baseline give a reconstruction of an image. All else is the same for all of them: the pixels, the
scales, and the statistics of heat maps, which are those of the method's own maps of good validation images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float, Float32, Float64, Integer
from sklearn.metrics import f1_score

from vaeline.anomaly.separation import RESAMPLES, separation
from vaeline.defects.baselines import fit_components, nearest_neighbours
from vaeline.defects.heat_map import image_scores, scales_of, top_pixels
from vaeline.defects.kinds import has_defects, rows_by_kind
from vaeline.defects.moments import Moments, Reconstruct, cross_fitted_maps, fit_moments
from vaeline.defects.pictures import PictureSet, Seen
from vaeline.defects.pixels import MOST_FALSE_POSITIVES, PixelCounts, aupro, count_pixels, pixel_auroc
from vaeline.defects.reference import upper_bound
from vaeline.errors import VaelineError
from vaeline.evaluation.group import Group, Inputs
from vaeline.evaluation.inference import reconstruct
from vaeline.evaluation.noise import subset
from vaeline.evaluation.subject import Measured, Subject
from vaeline.evaluation.summary import nested
from vaeline.images.lazy import ByteSource, LazyImages
from vaeline.images.types import HeatMaps, Images
from vaeline.params.evaluate import EvaluateParams
from vaeline.scores import DEFECTS, HEAT_MAP, OOD_SCORES

ALL = "all"
ERROR = "mse"
MODEL = ""
Errors: TypeAlias = Float32[np.ndarray, " rows"]
MOST_COMPONENTS = 512


@dataclass(frozen=True)
class Looked:
    """What a method says of some images: their scores (images,) by name, and the pixels of their maps by mask."""

    scores: dict[str, Float[np.ndarray, " images"]]
    pixels: PixelCounts


@dataclass(frozen=True)
class Method:
    """What reconstructs images, and the moments of its features of good validation images."""

    reconstruct: Reconstruct
    moments: Moments

    def look_at_good(self, pictures: PictureSet) -> dict[str, Float[np.ndarray, " pictures"]]:
        """The scores of the good validation pictures from which the moments are."""
        folds, top = pictures.folds(), top_pixels(*pictures.images.shape[1:3])

        def look(images: Images, rows: Integer[np.ndarray, " rows"]) -> tuple[HeatMaps, dict[str, Errors]]:
            expected = self.reconstruct(images)
            return cross_fitted_maps(self.moments, images, expected, folds[rows]), _errors(images, expected)

        return _joined([_scores(seen, top) for seen in pictures.look(pictures.rows, look)])

    def look(
        self,
        pictures: PictureSet,
        rows: Integer[np.ndarray, " rows"],
        masks: ByteSource | None,
        only_masked: bool = False,
    ) -> Looked:
        """The scores of the pictures of some rows, and the pixels of their maps.

        With `only_masked`, a picture without a mask has no pixels: it is defective, and nobody knows where.
        """
        statistics, top = self.moments.statistics(), top_pixels(*pictures.images.shape[1:3])

        def look(images: Images, rows: Integer[np.ndarray, " rows"]) -> tuple[HeatMaps, dict[str, Errors]]:
            expected = self.reconstruct(images)
            return statistics.heat_maps(images, expected), _errors(images, expected)

        found, pixels = [], PixelCounts.none()
        for seen in pictures.look(rows, look, masks):
            found.append(_scores(seen, top))
            if seen.defective is not None:
                known = seen.defective.any(axis=(1, 2)) | (not only_masked)
                pixels += count_pixels(seen.maps[known], seen.defective[known])
        return Looked(_joined(found), pixels)


def _errors(images: Images, expected: Images) -> dict[str, Errors]:
    return {ERROR: np.square(images - expected).mean(axis=(1, 2, 3))}


def _scores(seen: Seen, top: int) -> dict[str, Float[np.ndarray, " count"]]:
    return {HEAT_MAP: image_scores(seen.maps, top), **seen.scores}


def _joined(parts: Sequence[Mapping[str, Float[np.ndarray, " _"]]]) -> dict[str, Float64[np.ndarray, " images"]]:
    return {name: np.concatenate([part[name] for part in parts]).astype("float64") for name in parts[0]}


def methods_of(subject: Subject, settings: EvaluateParams) -> dict[str, Method]:
    """The model and the two baselines, by what stands before the names of their scores.

    The baselines are fitted on up to `reference_images` training images, which are read in parts.
    """
    train, validation = subject.prepared.splits["train"].images, validation_of(subject)
    some = LazyImages.stored([train]).take(subset(len(train), settings.reference_images, subject.seed))
    components = fit_components(some, min(subject.model.latent_dim, MOST_COMPONENTS), subject.seed)
    functions: dict[str, Reconstruct] = {
        MODEL: _reconstruction(subject),
        "pca_": components.reconstruct,
        "neighbour_": nearest_neighbours(some),
    }
    return {name: _fitted(found, validation, subject) for name, found in functions.items()}


def defects_auroc(subject: Subject) -> float:
    """AUROC of the model's heat map between good test images and defective ones.

    Raises:
        VaelineError: the test images are not of good ones and of others.
    """
    if not has_defects(subject.prepared):
        raise VaelineError(
            f"{subject.prepared.manifest['name']} has no defective test images, so there is no AUROC of "
            f"gate.ood_kind: {DEFECTS}; choose an alteration, such as hflip"
        )
    test = PictureSet.of_split(subject.prepared.splits["test"])
    method = _fitted(_reconstruction(subject), validation_of(subject), subject)
    good, kinds = rows_by_kind(subject.prepared)
    sound, defective = (method.look(test, rows, None) for rows in (good, np.concatenate(list(kinds.values()))))
    return float(separation(sound.scores[HEAT_MAP], defective.scores[HEAT_MAP], subject.seed)["auroc"])


def _reconstruction(subject: Subject) -> Reconstruct:
    return lambda images: reconstruct(subject.model, images, subject.seed)


def _fitted(function: Reconstruct, validation: PictureSet, subject: Subject) -> Method:
    scales = scales_of(subject.model.image)
    return Method(function, fit_moments(function, validation.images, validation.folds(), scales))


def validation_of(subject: Subject) -> PictureSet:
    """The good validation pictures."""
    return PictureSet.of_split(subject.prepared.splits["validation"])


def measure_defects(
    subject: Subject, settings: EvaluateParams, others: Mapping[str, Float[np.ndarray, " count"]]
) -> Measured:
    """How well the model and the baselines find the defects of test images, for each kind of defect and for all.

    others: further scores of the test images (count,) by name, which have no threshold.
    """
    test, masks = PictureSet.of_split(subject.prepared.splits["test"]), subject.prepared.test_masks
    validation = validation_of(subject)
    good, kinds = rows_by_kind(subject.prepared)
    every = kinds | {ALL: np.concatenate(list(kinds.values()))}
    table, column = [], np.zeros(len(test.images))
    for prefix, method in methods_of(subject, settings).items():
        usual = method.look_at_good(validation)
        sound = method.look(test, good, masks)
        looked = {kind: method.look(test, rows, masks, only_masked=True) for kind, rows in kinds.items()}
        looked[ALL] = add_all(list(looked.values()))
        if prefix == MODEL:
            for rows, found in ((good, sound), (every[ALL], looked[ALL])):
                column[rows] = found.scores[HEAT_MAP][test.numbers(rows)]
        for kind, found in looked.items():
            for score, values in found.scores.items():
                bound = upper_bound(usual[score], settings.false_alarms)
                row: dict[str, object] = {"kind": kind, "score": f"{prefix}{score}", "images": len(values)}
                row |= separation(sound.scores[score], values, subject.seed)
                row |= alarms(sound.scores[score], values, bound)
                table.append(row | (localization(sound.pixels + found.pixels) if score == HEAT_MAP else {}))
    for score, values in others.items():
        usual_values = test.highest(values, good)
        for kind, rows in every.items():
            found = test.highest(values, rows)
            row = {"kind": kind, "score": score, "images": len(found)}
            table.append(row | separation(usual_values, found, subject.seed))
    ordered = pd.DataFrame(table)
    return Measured(_nested(ordered), _protocol(subject, settings, test, validation, good), {HEAT_MAP: column}, ordered)


def add_all(parts: Sequence[Looked]) -> Looked:
    """The scores of several sets of images, one after the other, and their pixels together."""
    return Looked(_joined([part.scores for part in parts]), sum((part.pixels for part in parts), PixelCounts.none()))


def alarms(
    sound: Float[np.ndarray, " sound"], defective: Float[np.ndarray, " defective"], bound: float
) -> dict[str, float]:
    """F1 of the verdicts that a threshold gives, defective images positive, and the share of good images above it."""
    labels = np.repeat([0, 1], [len(sound), len(defective)])
    verdicts = np.concatenate([sound, defective]) > bound
    return {"f1": float(f1_score(labels, verdicts, zero_division=0)), "false_alarms": float((sound > bound).mean())}


def localization(pixels: PixelCounts) -> dict[str, float]:
    """The pixel AUROC and AUPRO; none if there are no masks."""
    return {"pixel_auroc": pixel_auroc(pixels), "aupro": aupro(pixels)} if pixels.regions else {}


def _nested(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """The measures by kind and score; those that a score does not have are left out."""
    found = nested(table, ["kind", "score"])
    return {kind: {score: _finite(values) for score, values in rows.items()} for kind, rows in found.items()}


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if np.isfinite(value)}


def _protocol(
    subject: Subject,
    settings: EvaluateParams,
    test: PictureSet,
    validation: PictureSet,
    good: Integer[np.ndarray, " good"],
) -> dict[str, str]:
    training = min(settings.reference_images, len(subject.train_labels))
    components = min(subject.model.latent_dim, MOST_COMPONENTS)
    known, sound = int(validation.numbers(validation.rows)[-1]) + 1, int(test.numbers(good)[-1]) + 1
    scales = ", ".join(f"{scale:g}" for scale in scales_of(subject.model.image))
    return {
        "good": f"{sound} test images of the class {subject.prepared.manifest['good']}",
        "pixels": subject.pixels,
        "heat_map": f"energy of the residual under Gaussian filters of {scales} pixels",
        "scores": "heat_map: mean of the highest 1 % of the map's pixels; mse: mean squared error of a pixel",
        "threshold": f"share of false alarms {settings.false_alarms:g}, of {known} validation images",
        "pca": f"{components} principal components of {training} training images",
        "neighbour": f"the nearest of {training} training images, by the squared distance of pixels",
        "aupro": f"up to a false-positive rate of {MOST_FALSE_POSITIVES:g}",
        "errors": f"auroc: DeLong; average_precision: {RESAMPLES} resamplings",
    }


def _measure(inputs: Inputs) -> Measured:
    columns = {name: values for group in ("test", "ood") for name, values in inputs.earlier[group].columns.items()}
    others = {name: columns[name] for name in OOD_SCORES if name in columns}
    return measure_defects(inputs.subject, inputs.settings, others)


GROUP = Group("defects", _measure, applies=lambda subject: has_defects(subject.prepared), csv="defects.csv")
