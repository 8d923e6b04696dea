"""Scores, latents and verdicts of some rows of a source, as a table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from vaeline.anomaly.one_class import scores_and_latents
from vaeline.evaluation.group import Density
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.lazy import rows_at_once
from vaeline.images.types import Images
from vaeline.models.generative import GenerativeModel
from vaeline.scores import ELBO_PARTS, LOSSES, OOD_SCORES
from vaeline.scoring.inputs import Inputs, Span

AT_ONCE = 2000
ROW, INPUT, LATENTS, VERDICT, REASON = "row", "input", "z_mean", "anomalous", "reason"


@dataclass(frozen=True)
class Rules:
    """What is written for each image.

    densities: of the model's training images. score, threshold: an image with a higher score is anomalous; without a
    threshold there is no verdict. seed: of the noise of scores. latents: whether `z_mean` is written.
    """

    densities: Mapping[str, Density]
    score: str
    threshold: float | None
    seed: int
    invert: bool
    latents: bool


@dataclass(frozen=True)
class Scorer:
    """A model, and what is written for each image."""

    model: GenerativeModel
    rules: Rules

    @cached_property
    def names(self) -> list[str]:
        """The scores that the model has."""
        known = {*ELBO_PARTS, *self.rules.densities} if self.model.has_bound else {LOSSES[-1], *self.rules.densities}
        return [name for name in OOD_SCORES if name in known]

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of the table."""
        latents = [(LATENTS, pa.list_(pa.float32(), self.model.latent_dim))] if self.rules.latents else []
        scores = [(name, pa.float64()) for name in self.names]
        verdict = [(VERDICT, pa.bool_()), (REASON, pa.string())]
        return pa.schema([(ROW, pa.int64()), (INPUT, pa.string()), *scores, *latents, *verdict])

    def table(self, inputs: Inputs, start: int, stop: int) -> pa.Table:
        """One row for each of the rows `start` to `stop`, without the last, of a source.

        A row that cannot be read has the reason instead of scores. Few images are in memory at once. The scores of an
        image depend on the image and the seed alone, up to the rounding of the batch that it is in.
        """
        step = rows_at_once(AT_ONCE, self.model.image)
        parts = [self._part(inputs, first, min(first + step, stop)) for first in range(start, stop, step)]
        return pa.concat_tables(parts)

    def _part(self, inputs: Inputs, start: int, stop: int) -> pa.Table:
        names, images, reasons = [], [], []
        for span in inputs.spans(start, stop):
            for part, found in self._read(inputs, span):
                names += part.names
                unreadable = isinstance(found, UnreadableImagesError)
                reasons += [found.reason if unreadable else None] * (part.stop - part.start)
                if not unreadable:
                    images.append(found)
        columns = {ROW: range(start, stop), INPUT: names, REASON: reasons}
        readable = np.array([reason is None for reason in reasons])
        columns |= self._scores(np.concatenate(images), readable) if images else {}
        return pa.table({field.name: self._column(columns, field, len(names)) for field in self.schema}, self.schema)

    def _read(self, inputs: Inputs, span: Span) -> Iterator[tuple[Span, Images | UnreadableImagesError]]:
        """The images of a span; row by row where one of its rows cannot be read."""
        try:
            yield span, inputs.read(span, self.model.image, self.rules.invert)
        except UnreadableImagesError as error:
            if span.stop - span.start == 1:
                yield span, error
                return
            for row in range(span.start, span.stop):
                yield from self._read(inputs, replace(span, start=row, stop=row + 1))

    def _scores(self, images: Images, readable: np.ndarray) -> dict[str, pa.Array]:
        scores, z_mean = scores_and_latents(self.model, images, self.rules.seed, self.rules.densities)
        places = np.full(len(readable), -1)
        places[readable] = np.arange(len(images))
        taken = pa.array(places, mask=~readable)
        columns = {name: pa.array(scores[name]).take(taken) for name in self.names}
        if self.rules.latents:
            columns[LATENTS] = _as_lists(z_mean).take(taken)
        if self.rules.threshold is not None:
            columns[VERDICT] = pa.array(scores[self.rules.score] > self.rules.threshold).take(taken)
        return columns

    def _column(self, columns: Mapping[str, object], field: pa.Field, count: int) -> pa.Array:
        values = columns.get(field.name)
        if values is None:
            return pa.nulls(count, field.type)
        return values if isinstance(values, pa.Array) else pa.array(values, field.type)


def _as_lists(latents: Float[np.ndarray, "count latent_dim"]) -> pa.Array:
    flat = pa.array(latents.astype("float32").ravel())
    return pa.FixedSizeListArray.from_arrays(flat, latents.shape[1])
