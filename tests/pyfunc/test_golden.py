import copy
import json

import numpy as np
import pytest

from vaeline.data.sources import MNIST_IMAGE
from vaeline.errors import VaelineError
from vaeline.models.vae import VAE
from vaeline.pyfunc.golden import (
    IMAGES,
    answer_differences,
    golden_differences,
    make_golden,
    read_golden,
    write_golden,
)
from vaeline.pyfunc.model import MODES


@pytest.fixture(scope="module")
def golden(small_model, greys):
    return make_golden(small_model, greys)


def test_every_mode_is_asked_about_a_few_images_and_answers_itself(small_model, greys, golden):
    assert set(golden["questions"]) == set(golden["answers"]) == set(MODES)
    assert np.shape(golden["questions"]["encode"]["inputs"]) == (IMAGES, *MNIST_IMAGE.shape)
    np.testing.assert_allclose(
        golden["answers"]["reconstruct"]["images"], small_model.reconstruct(greys[:IMAGES]), atol=1e-4
    )
    np.testing.assert_allclose(golden["answers"]["sample"]["images"], small_model.sample(2, 1), atol=1e-4)
    assert golden_differences(small_model, golden) == []


def test_it_comes_back_from_its_file_as_it_was(small_model, golden, tmp_path):
    write_golden(golden, tmp_path / "golden.json")
    read = read_golden(tmp_path / "golden.json")
    assert read == golden
    assert golden_differences(small_model, read) == []


def test_another_seed_of_the_same_model_answers_otherwise_in_every_mode(small_model, golden):
    other = VAE(small_model.params, small_model.image, seed=2)
    found = golden_differences(other, golden)
    assert {sentence.split(":")[0] for sentence in found} == set(MODES)
    assert all("differs by up to" in sentence for sentence in found)


def test_a_model_with_one_changed_weight_of_the_decoder_is_found_out(small_model, golden):
    weights = small_model.get_weights()
    changed = copy.deepcopy(weights)
    changed[-1] = changed[-1] + 0.1
    small_model.set_weights(changed)
    try:
        found = golden_differences(small_model, golden)
    finally:
        small_model.set_weights(weights)
    assert {sentence.split(":")[0] for sentence in found} >= {"reconstruct", "decode", "sample"}


def without_a_mode(golden):
    del golden["answers"]["sample"]


def without_any_question(golden):
    golden["questions"] = {}


def not_a_number(golden):
    golden["answers"]["score"]["kl"][0] = float("nan")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (without_a_mode, "sample: no golden output"),
        (without_any_question, "score: no golden output"),
        (not_a_number, "score: kl differs by up to nan"),
    ],
)
def test_golden_outputs_with_a_gap_are_never_reproduced(small_model, golden, spoil, sentence):
    spoilt = copy.deepcopy(golden)
    spoil(spoilt)
    assert any(line.startswith(sentence) for line in golden_differences(small_model, spoilt))


def test_answers_from_elsewhere_are_compared_by_mode_and_name(golden):
    answers = copy.deepcopy(golden["answers"])
    assert answer_differences(golden, answers) == []
    del answers["decode"]
    answers["encode"]["z_mean"][0][0] += 0.5
    answers["sample"]["images"] = answers["sample"]["images"][:1]
    answers["score"]["more"] = [0]
    found = answer_differences(golden, answers)
    assert found[0] == "encode: z_mean differs by up to 0.5 (tolerance 0.001)"
    assert found[1] == "decode: no answer"
    assert found[2] == "sample: images has shape (1, 28, 28, 1), not (2, 28, 28, 1)"
    assert found[3].startswith("score: answers neg_elbo, reconstruction, kl, mse, more, not neg_elbo,")


def test_answers_of_another_backend_are_explained(small_model, golden):
    elsewhere = copy.deepcopy(golden) | {"backend": "abacus"}
    assert golden_differences(small_model, elsewhere) == []
    elsewhere["answers"]["sample"]["images"][0][0][0][0] += 1
    assert golden_differences(small_model, elsewhere)[-1].startswith(
        "the golden outputs were made on abacus, and this backend is"
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"questions": {}, "answers": {}, "backend": "jax"})])
def test_what_is_no_golden_file_is_one_sentence(tmp_path, text):
    file = tmp_path / "golden.json"
    file.write_text(text)
    with pytest.raises(VaelineError, match=r"golden\.json: not golden outputs") as error:
        read_golden(file)
    assert "\n" not in str(error.value)


def test_a_model_of_classes_has_golden_outputs_too(conditional_model, greys):
    found = make_golden(conditional_model, greys)
    assert golden_differences(conditional_model, found) == []
    assert np.shape(found["questions"]["decode"]["params"]["latents"]) == (IMAGES * 13,)


def test_golden_outputs_from_before_images_had_channels_are_reproduced(small_model, golden):
    """They have grey images without channels, and latents (count, 1, latent_dim) as the input of decode."""
    earlier = copy.deepcopy(golden)
    for question in earlier["questions"].values():
        question["inputs"] = np.asarray(question["inputs"])[..., 0].tolist()
    latents = earlier["questions"]["decode"]["params"].pop("latents")
    earlier["questions"]["decode"]["inputs"] = np.reshape(latents, (IMAGES, 1, small_model.latent_dim)).tolist()
    for answer in earlier["answers"].values():
        if "images" in answer:
            answer["images"] = np.asarray(answer["images"])[..., 0].tolist()
    assert golden_differences(small_model, earlier) == []
    earlier["answers"]["decode"]["images"][0][0][0] += 1
    assert golden_differences(small_model, earlier)[0].startswith("decode: images differs by up to 1")
