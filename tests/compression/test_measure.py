import numpy as np
import pytest
from metric_checks import check

from vaeline.compression.jpeg import jpeg_curve
from vaeline.compression.measure import measure_compression
from vaeline.data.prepared import read_prepared, write_prepared
from vaeline.evaluation.inference import encode
from vaeline.evaluation.subject import Subject
from vaeline.images.spec import ImageSpec
from vaeline.models.build import build_model

LARGE = ImageSpec(height=32, width=40, channels=3, ink=False)


@pytest.fixture
def large_subject(params, tmp_path):
    """An untrained model and 30 pictures in colour."""
    images = np.random.default_rng(1).integers(0, 256, (30, *LARGE.shape), dtype="uint8")
    about = {"dataset": "colours", "name": "colours", "title": "colours", "classes": ["one"]}
    sources = {
        name: (images, np.zeros(30, int), np.arange(start, start + 10))
        for start, name in ((0, "train"), (10, "validation"), (20, "test"))
    }
    write_prepared(tmp_path / "prepared", sources, about | {"image": LARGE.model_dump()})
    prepared = read_prepared(tmp_path / "prepared")
    small = {"architecture": "mlp", "latent_dim": 2, "likelihood": "mse", "width": 8, "depth": 1}
    model = build_model(params.model.model_copy(update=small), LARGE, 1, 1)
    model.initialize(prepared.splits["train"].images, prepared.splits["train"].labels)
    return Subject(model, prepared, 1)


def test_compression_is_measured_at_the_stated_precision(subject, evaluate_params):
    measured = measure_compression(subject, evaluate_params)
    check(measured, {"packed_bits"})
    assert measured.metrics["packed_bits"] == pytest.approx(measured.metrics["code_bits"], rel=0.02)
    assert measured.metrics["code_bits"] < measured.metrics["png_bits"]
    curve = measured.table.set_index("step")
    assert (np.diff(curve["code_bits"]) > 0).all()
    assert curve.loc[evaluate_params.code_step, "code_mse"] == pytest.approx(measured.metrics["code_mse"], abs=1e-4)
    images = subject.original_images[:]
    exact = ((np.asarray(subject.model.decode(encode(subject.model, images)[0])) - images) ** 2).mean()
    assert curve["code_mse"].iloc[-1] == pytest.approx(exact, rel=0.05)


def test_large_images_are_compared_with_jpeg(large_subject, evaluate_params):
    measured = measure_compression(large_subject, evaluate_params)
    check(measured, {"packed_bits", "jpeg_bits"})
    assert list(measured.table["jpeg_bits"]) == sorted(measured.table["jpeg_bits"])
    known = jpeg_curve(large_subject.prepared.splits["test"].images[:])
    assert measured.metrics["jpeg_bits"] == pytest.approx(known.bits_at(measured.metrics["code_mse"]), abs=1e-4)
