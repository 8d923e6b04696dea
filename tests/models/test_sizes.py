"""Models over the sizes of pictures that people have: each kind, architecture and likelihood at some of them."""

import numpy as np
import pytest
from models.test_colour import LABELS, build, draw, draw_scores

from vaeline.archive import save_archive
from vaeline.evaluation.inference import encode, reconstruct
from vaeline.images.spec import ImageSpec
from vaeline.kinds import known_kinds, known_likelihoods
from vaeline.likelihood.bounds import importance_weighted_nll
from vaeline.models.archive import load_model

MODELS = [
    ((8, 8, 1), "vae", "mlp", "bernoulli"),
    ((8, 8, 3), "vqvae", "conv", "logistic_mixture"),
    ((28, 28, 1), "iwae", "resmlp", "continuous_bernoulli"),
    ((28, 28, 3), "vae", "conv", "discretized_logistic"),
    ((33, 47, 1), "cvae", "resconv", "mse"),
    ((33, 47, 3), "vae", "resconv", "logistic_mixture"),
    ((64, 64, 3), "vae", "conv", "calibrated_gaussian"),
    ((64, 64, 3), "vqvae", "resconv", "gaussian"),
    ((100, 100, 3), "autoencoder", "resconv", "discretized_logistic"),
    ((100, 100, 3), "iwae", "conv", "discretized_logistic"),
]


def test_the_table_has_every_kind_and_likelihood():
    assert {kind for _, kind, _, _ in MODELS} == set(known_kinds())
    assert {likelihood for *_, likelihood in MODELS} == set(known_likelihoods())


@pytest.mark.parametrize(("shape", "kind", "architecture", "likelihood"), MODELS, ids=str)
def test_a_model_keeps_to_the_size_and_its_bound_tightens(params, shape, kind, architecture, likelihood, tmp_path):
    image = ImageSpec.of_shape((5, *shape))
    images = np.rint(255 * draw(image)).astype("float32") / 255
    model = build(params, kind, architecture, image, likelihood=likelihood)
    model.initialize(np.rint(255 * images).astype("uint8"), LABELS)
    z_mean, _ = encode(model, images, LABELS)
    assert z_mean.shape == (5, model.latent_dim)
    drawn = np.asarray(model.decode(z_mean))
    assert drawn.shape == images.shape
    assert 0 <= drawn.min() <= drawn.max() <= 1
    if model.has_bound:
        bound = importance_weighted_nll(model, images, np.arange(5), 10, 1, LABELS).mean()
        assert bound <= draw_scores(model, images, 3)["neg_elbo"].mean() + 0.01 * abs(bound)
    save_archive(model, tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    assert again.image == image
    np.testing.assert_array_equal(reconstruct(again, images, 1), reconstruct(model, images, 1))
