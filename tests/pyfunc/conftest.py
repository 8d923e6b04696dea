import pytest

from vaeline.data.sources import MNIST_IMAGE
from vaeline.models.build import build_model
from vaeline.models.generative import GenerativeModel


@pytest.fixture(scope="session")
def vq_model(params) -> GenerativeModel:
    """An untrained model of codes."""
    prior = params.model.prior.model_copy(update={"kind": "autoregressive", "layers": 1, "width": 16})
    changes = {"kind": "vqvae", "architecture": "conv", "latent_dim": 4, "width": 8, "prior": prior}
    return build_model(params.model.model_copy(update=changes), MNIST_IMAGE, 10, 1)
