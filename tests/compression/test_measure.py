import numpy as np
import pytest
from metric_checks import check

from vaeline.compression.measure import measure_compression
from vaeline.evaluation.inference import encode


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
