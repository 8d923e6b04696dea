import numpy as np
import pytest

from vaeline.pyfunc.model import VAEModel

NOTHING = np.zeros((1, 1, 1, 1))


def serve(model) -> VAEModel:
    served = VAEModel()
    served.model = model
    return served


def test_a_conditional_model_draws_the_label_it_is_asked_for(conditional_model):
    served = serve(conditional_model)
    ask = {"mode": "sample", "n": 3, "seed": 5, "label": 7}
    drawn = served.predict(None, NOTHING, ask)["images"]
    np.testing.assert_allclose(drawn, conditional_model.sample(3, 5, 1.0, 7), atol=1e-5)
    drawn = served.predict(None, NOTHING, ask | {"label": -1})["images"]
    np.testing.assert_allclose(drawn, conditional_model.sample(3, 5), atol=1e-5)


def test_it_needs_no_labels_to_encode_reconstruct_and_score(conditional_model, greys):
    served = serve(conditional_model)
    encoded = served.predict(None, greys, {"mode": "encode"})
    assert (np.shape(encoded["z_mean"]), np.shape(encoded["z_log_var"])) == ((40, 13), (40, 3))
    seen = served.predict(None, greys)["images"]
    decoded = served.predict(None, NOTHING, {"mode": "decode", "latents": np.ravel(encoded["z_mean"]).tolist()})[
        "images"
    ]
    np.testing.assert_allclose(seen, decoded, atol=1e-4)
    assert np.isfinite(served.predict(None, greys, {"mode": "score"})["neg_elbo"]).all()


def test_what_it_is_not_made_for_gets_a_sentence(small_model, greys):
    with pytest.raises(ValueError, match="mode 'paint' is unknown; use one of reconstruct, encode, "):
        serve(small_model).predict(None, greys, {"mode": "paint"})
    with pytest.raises(ValueError, match="decode takes the parameter latents, 2 numbers for each image, got 0 numbers"):
        serve(small_model).predict(None, greys, {"mode": "decode"})
