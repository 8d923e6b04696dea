import numpy as np
import pytest
from metric_checks import check

from vaeline.codes.measure import measure_codes
from vaeline.likelihood.bounds import elbo_scores


def test_codes_are_measured_over_the_whole_test_set_beside_what_they_are_worth(coder):
    unused = np.full((1, 2), 99.0)
    coder.model.codebook.codes.assign(np.concatenate([np.array(coder.model.codebook.codes)[:-1], unused]))
    measured = measure_codes(coder)
    check(measured, {"codes", "codes_per_image", "usage", "perplexity", "mse_share"})
    metrics = measured.metrics
    z = coder.latents.reshape(len(coder.rows), 49, 2)
    found, uses = np.unique(z.reshape(-1, 2), axis=0, return_counts=True)
    shares = uses / uses.sum()
    assert metrics["codes"] == 12
    assert metrics["usage"] == pytest.approx(len(found) / 12, abs=1e-5)
    assert metrics["usage"] < 1
    assert metrics["perplexity"] == pytest.approx(np.prod(shares**-shares), rel=1e-5)
    scores = elbo_scores(coder.model, coder.original_images, coder.rows, 1)
    assert metrics["nats_per_image"] == pytest.approx(scores["kl"].mean(), abs=1e-4)
    assert metrics["nats_per_code"] == pytest.approx(scores["kl"].mean() / 49, abs=1e-5)
    assert metrics["mse_share"] == pytest.approx(scores["mse"].mean() / coder.original_images[:].var(), abs=1e-5)
    assert measured.protocol["images"] == f"all {len(coder.rows)} test images, grey"
