"""A model of every kind of the family, packaged and served: the same answers as it gives by itself."""

import base64

import numpy as np
import pytest
from serving.conftest import Host, Shelf, png

from vaeline.archive import save_archive
from vaeline.evaluation.inference import decode, encode
from vaeline.images.spec import ImageSpec
from vaeline.kinds import known_kinds
from vaeline.likelihood.bounds import elbo_scores
from vaeline.models.archive import load_model
from vaeline.models.build import build_model
from vaeline.params.whole import parse_params
from vaeline.pyfunc.golden import make_golden

CLOSE = {"atol": 1e-4, "rtol": 1e-4}
MEMBERS = {
    "autoencoder": {"kind": "autoencoder"},
    "autoencoder, mixture": {"kind": "autoencoder", "prior": {"kind": "mixture"}},
    "cvae": {"kind": "cvae"},
    "cvae, label": {"kind": "cvae", "prior": {"kind": "label"}},
    "cvae, mixture": {"kind": "cvae", "prior": {"kind": "mixture"}},
    "iwae, vamp": {"kind": "iwae", "prior": {"kind": "vamp"}},
    "vae, flow": {"prior": {"kind": "flow"}},
    "vae, mixture": {"prior": {"kind": "mixture"}},
    "vqvae": {"kind": "vqvae", "architecture": "conv", "prior": {"kind": "autoregressive", "layers": 1}},
}
CLASSES, LABEL = 3, 2
FIFTH = (slice(None), slice(None, None, 5), slice(None, None, 5))  # every fifth pixel: 9 codes instead of 49


@pytest.fixture(params=MEMBERS)
def member(request, params, digits):
    """An untrained model of each kind, its prior fitted to some digits."""
    changes, values = MEMBERS[request.param], params.model_dump(by_alias=True)
    prior = values["model"]["prior"] | {"components": 3, "layers": 2, "width": 8} | changes.get("prior", {})
    small = {"architecture": "mlp", "width": 8, "latent_dim": 5}
    values["model"] |= small | changes | {"prior": prior}
    rows = np.flatnonzero(digits.labels < CLASSES)[:200]
    images, labels = digits.images[rows][FIFTH], digits.labels[rows]
    model = build_model(parse_params(values).model, ImageSpec.of_shape(images.shape), CLASSES, 1)
    model.initialize(images, labels)
    model.fit_prior(images, labels)
    return model


def test_every_kind_is_a_member():
    assert {changes.get("kind", "vae") for changes in MEMBERS.values()} == set(known_kinds())


def test_it_is_loaded_from_its_archive_and_answers_every_path(member, greys, tmp_path):
    greys, digest = greys[FIFTH], save_archive(member, tmp_path / "vae.keras")
    shelf = Shelf(load_model(tmp_path / "vae.keras", digest))
    shelf.golden[1] = make_golden(member, greys)
    label = LABEL if member.is_conditional else None
    told = "" if label is None else f"label={label}"
    images, labels = greys[:3], None if label is None else np.full(3, label)
    with Host(shelf) as host:
        about = host.ask("GET", "/version").json()
        assert about["checks"] == ["digest", "golden outputs", "every mode answers"], about["trouble"]
        assert len(about["axes"]) == (0 if member.has_codes else member.noise_dim or member.latent_dim)

        sent = {"images": images.tolist()}
        encoded = host.ask("POST", f"/encode?{told}", json=sent).json()
        z_mean, z_log_var = encode(member, images, labels)
        np.testing.assert_allclose(encoded["z_mean"], z_mean, **CLOSE)
        np.testing.assert_allclose(np.reshape(encoded["z_log_var"], z_log_var.shape), z_log_var, **CLOSE)
        expected = decode(member, z_mean)[..., 0]
        for path, body in ((f"/reconstruct?{told}", sent), ("/decode", {"latents": encoded["z_mean"]})):
            np.testing.assert_allclose(host.ask("POST", path, json=body).json()["images"], expected, **CLOSE)

        scored = host.ask("POST", f"/score?seed=3&{told}", json=sent).json()
        scores = elbo_scores(member, images, np.arange(3), 3, labels)
        assert scored.keys() - {"model"} == scores.keys()
        for name, values in scores.items():
            np.testing.assert_allclose(scored[name], values, rtol=1e-3, err_msg=name)

        drawn = host.ask("GET", f"/sample?n=3&seed=2&temperature=0.8&{told}").json()["images"]
        np.testing.assert_allclose(drawn, member.sample(3, 2, 0.8, label)[..., 0], **CLOSE)

        pictures = {"png": [base64.b64encode(png(image)).decode() for image in images]}
        answer = host.ask("POST", "/reconstruct", json=pictures, headers={"accept": "image/png"})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        if not member.is_conditional:
            refused = host.ask("POST", f"/score?label={LABEL}", json=sent)
            assert (refused.status_code, f"is not conditioned on classes; got {LABEL}" in refused.json()["error"]) == (
                422,
                True,
            )
