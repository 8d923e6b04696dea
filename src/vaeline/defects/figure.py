"""The sheet of inspected pictures: picture, reconstruction, heat map over the picture, mask, score and verdict.

Pictures may have any size, each its own. Large ones are drawn smaller: a picture by the mean of its pixels, a heat map
and a mask by their highest pixel, so that a small defect stays visible.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from skimage.measure import block_reduce

from vaeline.anomaly.figure import draw_anomalies
from vaeline.defects.examine import Examiner
from vaeline.defects.heat_map import brightest
from vaeline.defects.kinds import has_defects, rows_by_kind
from vaeline.defects.pictures import PictureSet
from vaeline.defects.reference import read_heat_map_reference
from vaeline.figures.drawing import Drawing
from vaeline.figures.images import show_image
from vaeline.images.arrays import to_unit
from vaeline.scores import HEAT_MAP

HEAT_MAPS = "heat_map_reference.json"
MOST_SIDE = 256
ON_THE_SHEET = 24
BLOCKS = 3
PANEL_INCHES = 1.25
TEXT_INCHES = 0.42
GAP = 0.06
COLOURS = "inferno"
OPAQUE = 0.8
METHODS = {
    "heat_map": "this model",
    "pca_heat_map": "principal components",
    "neighbour_heat_map": "nearest neighbour",
}
UNIT = "standard deviations above good validation images"
FRAMES = {True: "#d62728", False: "#2ca02c"}
VERDICTS = {True: "anomalous", False: "normal"}


@dataclass(frozen=True)
class Inspected:
    """A picture as the sheet shows it: images in [0, 1], and a heat map in standard deviations and a mask, if any.

    score: of the picture; `is_anomalous` says whether it is above the threshold, or None if there is no threshold.
    """

    name: str
    picture: Shaped[np.ndarray, "height width channels"]
    reconstruction: Float[np.ndarray, "height width channels"]
    heat_map: Float32[np.ndarray, "height width"] | None
    score: float
    is_anomalous: bool | None
    mask: Bool[np.ndarray, "height width"] | None = None


def draw_inspected(shown: Sequence[Inspected], title: str, top: float, ink: bool) -> Figure:
    """The pictures in the given order, `BLOCKS` side by side. `top` is the value of the map's brightest colour."""
    has_maps = any(item.heat_map is not None for item in shown)
    panels = 2 + has_maps + any(item.mask is not None for item in shown)
    columns = min(BLOCKS, len(shown))
    rows = -(-len(shown) // columns)
    pitch_x, pitch_y = panels + 0.25, 1 + GAP + TEXT_INCHES / PANEL_INCHES
    size = (max(PANEL_INCHES * pitch_x * columns + 1.2, 0.098 * len(title) + 0.3), PANEL_INCHES * pitch_y * rows + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    for place, item in enumerate(shown):
        row, column = divmod(place, columns)
        _draw_block(axes, shrunk(item), column * pitch_x, row * pitch_y, top, ink)
    axes.set(xlim=(-0.05, columns * pitch_x - 0.2), ylim=(rows * pitch_y, -0.05), aspect="equal")
    axes.axis("off")
    if has_maps:
        colours = ScalarMappable(Normalize(0, top), COLOURS)
        figure.colorbar(colours, ax=axes, label=f"surprise, {UNIT}", shrink=min(1, 2 / rows), aspect=25)
    figure.suptitle(title)
    return figure


def shrunk(item: Inspected) -> Inspected:
    """A picture with at most `MOST_SIDE` pixels a side, as the sheet shows it."""
    factor = -(-max(item.picture.shape[:2]) // MOST_SIDE)
    if factor == 1:
        return item
    return replace(
        item,
        picture=shrink(item.picture, factor, False),
        reconstruction=shrink(item.reconstruction, factor, False),
        heat_map=None if item.heat_map is None else shrink(item.heat_map, factor, True),
        mask=None if item.mask is None else shrink(item.mask.astype("float32"), factor, True) > 0,
    )


def overlay(
    picture: Float[np.ndarray, "height width channels"],
    heat_map: Float32[np.ndarray, "height width"],
    top: float,
    ink: bool,
) -> Float[np.ndarray, "height width 3"]:
    """The map over the picture as red, green and blue: the higher the value, the less of the picture is seen."""
    shown = np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture
    shown = 1 - shown if ink else shown
    heat = np.clip(heat_map / top, 0, 1)
    opacity = OPAQUE * np.sqrt(heat)[..., None]
    return (1 - opacity) * shown + opacity * colormaps[COLOURS](heat)[..., :3]


def shrink(
    values: Shaped[np.ndarray, "height width *channels"], factor: int, highest: bool
) -> Float[np.ndarray, "_height _width *channels"]:
    """An array with each side divided by `factor`: the mean of each block of pixels, or its highest value."""
    missing = [(0, -side % factor) for side in values.shape[:2]]
    padded = np.pad(values, [*missing, *[(0, 0)] * (values.ndim - 2)], mode="edge")
    block = (factor, factor, *[1] * (values.ndim - 2))
    return block_reduce(padded, block, np.max if highest else np.mean)


def _draw_block(axes: Axes, item: Inspected, left: float, above: float, top: float, ink: bool) -> None:
    """One picture with its reconstruction, its map and its mask, and the text below."""
    panels = [(item.picture, ink), (item.reconstruction, ink)]
    if item.heat_map is not None:
        panels.append((overlay(item.picture, item.heat_map, top, ink), False))
    if item.mask is not None:
        panels.append((item.mask[..., None].astype("float32"), False))
    height, width = (side / max(item.picture.shape[:2]) * (1 - GAP) for side in item.picture.shape[:2])
    for place, (panel, is_ink) in enumerate(panels):
        show_image(axes, panel, is_ink, extent=(left + place, left + place + width, above + height, above))
    color = "black" if item.is_anomalous is None else FRAMES[item.is_anomalous]
    frames = [Rectangle((left + place, above), width, height) for place in range(len(panels))]
    axes.add_collection(PatchCollection(frames, facecolor="none", edgecolor=color, linewidth=0.8))
    verdict = "" if item.is_anomalous is None else f", {VERDICTS[item.is_anomalous]}"
    text = f"{item.score:.2f}{verdict}\n{item.name}"
    axes.text(left, above + height + 0.03, text, fontsize=7, ha="left", va="top", color=color)


def draw_tested(drawing: Drawing) -> Figure:
    """Test pictures of each kind of defect and good ones, drawn with the seed, the highest score first."""
    good, kinds = rows_by_kind(drawing.prepared)
    test, masks = PictureSet.of_split(drawing.prepared.splits["test"]), drawing.prepared.test_masks
    each = max(1, ON_THE_SHEET // (len(kinds) + 1))
    rng = np.random.default_rng(drawing.settings.seed)
    rows = np.concatenate([rng.permutation(test.firsts(found))[:each] for found in (good, *kinds.values())])
    scores = drawing.scores[HEAT_MAP].to_numpy()
    rows = rows[np.argsort(-scores[rows], kind="stable")][:ON_THE_SHEET]
    reference = read_heat_map_reference(drawing.reports / HEAT_MAPS)
    threshold = reference.threshold(HEAT_MAP, reference.false_alarms)
    examiner = Examiner(drawing.model, {}, reference.statistics, drawing.settings.seed)
    shown = []
    for row in rows:
        picture = test.assemble(test.images, row)
        tiled = test.owners is not None
        found = examiner.examine_tiled(picture) if tiled else next(examiner.examine(to_unit(picture[None])))
        mask = None if masks is None else test.assemble(masks, row)[..., 0] > 0
        name = f"{drawing.classes[drawing.labels[row]]}, row {row}"
        facts = found.reconstruction, found.heat_map, scores[row], bool(scores[row] > threshold), mask
        shown.append(Inspected(name, to_unit(picture), *facts))
    title = drawing.title(f"test pictures, threshold {threshold:.2f}")
    return draw_inspected(shown, title, brightest(threshold), drawing.ink)


def draw_kinds(drawing: Drawing) -> Figure:
    """The AUROC of the heat maps of the model and of the baselines, for each kind of defect."""
    table = drawing.table("defects.csv")
    maps = table[table["score"].isin(METHODS)].replace({"score": METHODS})
    return draw_anomalies(maps, drawing.title("detection of defects"), "kind of defect, against good test images")


def defect_figures(drawing: Drawing) -> dict[str, Figure]:
    """The figures of defects, by name; none if the test images have none."""
    if not has_defects(drawing.prepared):
        return {}
    return {"defects": draw_kinds(drawing), "heat_maps": draw_tested(drawing)}


FIGURES = defect_figures
