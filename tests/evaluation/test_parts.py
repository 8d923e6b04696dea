"""Measures read test images in parts, and the parts do not change what they find."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from vaeline.anomaly.measure import measure_anomalies
from vaeline.anomaly.one_class import fit_densities, image_statistics
from vaeline.compression.measure import measure_compression
from vaeline.data.prepared import Split
from vaeline.evaluation import inference
from vaeline.evaluation.inference import encode
from vaeline.evaluation.subject import Subject
from vaeline.images import lazy
from vaeline.images.lazy import LazyImages
from vaeline.latents.reference import fit_reference
from vaeline.likelihood import bounds
from vaeline.likelihood.measure import measure_likelihood

AT_ONCE = 20


def measure_all(model, prepared, settings, densities):
    """The columns of scores of every group that reads all test images."""
    subject = Subject(model, prepared, 1)
    train = subject.train_images(np.arange(50))
    measured = [
        measure_likelihood(subject, settings),
        measure_anomalies(subject, densities, {}, ["noise", "hflip"]),
        measure_compression(subject, settings),
    ]
    reference = fit_reference(model, "0", train, subject.train_labels, subject.classes, 1)
    return [values for group in measured for values in group.columns.values()] + [reference.class_means]


def test_no_more_images_are_read_at_once_than_a_batch_has(small_model, prepared, evaluate_params, monkeypatch):
    few = {name: Split(split.images[:50], split.labels[:50], np.arange(50)) for name, split in prepared.splits.items()}
    prepared, settings = replace(prepared, splits=few), evaluate_params.model_copy(update={"grid_points": 16})
    train = Subject(small_model, prepared, 1).train_images(np.arange(50))
    # Fitted once: rounding that depends on the size of a batch changes a mixture of 50 images more than the scores.
    densities = fit_densities(image_statistics(small_model, train, np.arange(50), 1), 1)
    whole = measure_all(small_model, prepared, settings, densities)
    read, get = [], LazyImages.__getitem__

    def watched(images: LazyImages, chosen: object) -> Float32[np.ndarray, "..."]:
        found = get(images, chosen)
        read.append(len(found))
        return found

    monkeypatch.setattr(LazyImages, "__getitem__", watched)
    monkeypatch.setattr(lazy, "NUMBERS_AT_ONCE", AT_ONCE * 28 * 28)
    monkeypatch.setattr(lazy, "READ_AT_ONCE", AT_ONCE)
    monkeypatch.setattr(bounds, "GRID_NUMBERS_AT_ONCE", AT_ONCE * 28 * 28)
    parts = measure_all(small_model, prepared, settings, densities)
    assert len(read) > 20
    assert max(read) == AT_ONCE
    for values, expected in zip(parts, whole, strict=True):
        np.testing.assert_allclose(values, expected, rtol=2e-3, atol=1e-4)


def test_many_latents_are_kept_in_a_file(small_model, prepared, monkeypatch):
    subject = Subject(small_model, prepared, 1)
    expected = encode(small_model, subject.images)
    monkeypatch.setattr(inference, "MOST_NUMBERS", expected[0].size - 1)
    for found, values in zip(encode(small_model, subject.images), expected, strict=True):
        assert isinstance(found, np.memmap)
        np.testing.assert_array_equal(found, values)
