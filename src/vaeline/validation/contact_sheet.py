"""The files of a validation: its verdict as JSON, and a contact sheet of the images that failed."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from vaeline.artifacts import write_json
from vaeline.data.prepared import Split
from vaeline.figures.canvas import save_figure
from vaeline.images.arrays import drawable
from vaeline.validation.checkpoint import Verdict

ON_THE_SHEET = 100
COLUMNS = 10
LEVELS = 255


def write_result(verdict: Verdict, splits: Mapping[str, Split], result_file: Path, sheet_file: Path) -> None:
    """Write the verdict into `result_file`, and failed images into `sheet_file`; remove an old sheet if none failed."""
    write_json(result_file, verdict.as_dict())
    sheet_file.unlink(missing_ok=True)
    reasons = offenders(verdict)
    if reasons:
        save_figure(draw_contact_sheet(reasons, splits, verdict.profile), sheet_file)


def offenders(verdict: Verdict) -> dict[str, str]:
    """The ids of up to 100 images that failed, each with an expectation that it violates.

    The failed expectations take turns, so that each has images. Images that violate an expectation alone come first;
    images that only change an average follow. A second line says what is wrong, where the failure says it.
    """
    with_images = [failure for failure in verdict.failures if failure.image_ids]
    broken = {
        image_id: failure.name
        for failure in reversed(with_images)
        if failure.by_itself
        for image_id in failure.image_ids
    }
    notes = {
        image_id: note
        for failure in with_images
        for image_id, note in zip(failure.image_ids, failure.notes, strict=False)
    }
    reasons: dict[str, str] = {}
    for rank in range(ON_THE_SHEET):
        for failure in with_images:
            if rank < len(failure.image_ids) and len(reasons) < ON_THE_SHEET:
                image_id = failure.image_ids[rank]
                reasons.setdefault(image_id, failure.name if failure.by_itself else broken.get(image_id, failure.name))
    noted = {image_id: "\n".join(filter(None, (why, notes.get(image_id)))) for image_id, why in reasons.items()}
    return dict(sorted(noted.items(), key=lambda item: item[0] not in broken))


def draw_contact_sheet(reasons: Mapping[str, str], splits: Mapping[str, Split], profile: str) -> Figure:
    """The images with ids `split/row` in `reasons`, each under its id and its reason."""
    rows = -(-len(reasons) // COLUMNS)
    figure = Figure(figsize=(1.5 * COLUMNS, 1.75 * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (image_id, reason) in zip(axes.flat, reasons.items(), strict=False):
        split, row = image_id.rsplit("/", 1)
        image = np.nan_to_num(np.asarray(splits[split].images[int(row)], dtype="float64"))
        shown = np.clip(image / (LEVELS if image.max() > 1 else 1), 0, 1)
        axis.imshow(drawable(shown), cmap="gray", vmin=0, vmax=1)
        axis.set_title(f"{image_id}\n{reason}", fontsize=6)
    figure.suptitle(f"Images that do not fit the profile {profile!r} ({len(reasons)} shown)")
    return figure
