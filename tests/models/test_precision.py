"""Networks that compute in bfloat16."""

import keras
import numpy as np
import pytest

from vaeline.compute import use_precision
from vaeline.data.sources import MNIST_IMAGE
from vaeline.models.build import build_model
from vaeline.params.model import ModelParams

TOLERANCE = 0.02  # of the loss; bfloat16 has 8 significant bits
KINDS = {
    "autoencoder": {"architecture": "conv"},
    "cvae": {"architecture": "mlp", "prior": "label"},
    "iwae": {"architecture": "resmlp"},
    "vae": {"architecture": "resconv", "prior": "flow"},
    "vqvae": {"architecture": "resconv", "prior": "autoregressive"},
}


@pytest.fixture
def build(params):
    """Builds a model of a kind, whose layers have a precision."""

    def build(kind, precision):
        settings = dict(KINDS[kind])
        values = params.model.model_dump() | {"kind": kind, "width": 16, "depth": 1, "latent_dim": 4}
        values["prior"] |= {"kind": settings.pop("prior", "normal"), "width": 16, "layers": 2}
        use_precision(precision)
        try:
            return build_model(ModelParams.model_validate(values | settings), MNIST_IMAGE, 10, 1)
        finally:
            use_precision("float32")

    return build


@pytest.mark.parametrize("kind", KINDS)
def test_layers_compute_in_bfloat16_and_everything_else_in_float32(build, kind):
    whole, half = build(kind, "float32"), build(kind, "bfloat16")
    half.set_weights(whole.get_weights())
    inputs = half.inputs(np.random.default_rng(1).random((8, *MNIST_IMAGE.shape), "float32"), np.arange(8))
    losses = []
    for model in (whole, half):
        model.compile()
        outputs = model(inputs, training=False)
        numbers = [value for value in outputs.values() if keras.backend.is_float_dtype(value.dtype)]
        assert {keras.backend.standardize_dtype(value.dtype) for value in numbers} == {"float32"}
        losses.append(float(model.compute_loss(x=inputs, y_pred=outputs, training=False)))
    assert {layer.compute_dtype for layer in half.encoder.layers[1:-2]} == {"bfloat16"}
    assert {weight.dtype for weight in half.weights if "seed" not in weight.path} == {"float32"}
    assert losses[1] == pytest.approx(losses[0], rel=TOLERANCE)
