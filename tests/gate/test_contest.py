"""Who may stand against whom; finding them in a registry is in tests/pipeline."""

from types import SimpleNamespace

import pytest

from vaeline.errors import VaelineError
from vaeline.gate.contest import require_contest
from vaeline.registry.lookup import RegisteredVersion
from vaeline.registry.stored import StoredModel

PARAMS = {"model.beta": "1.0", "model.latent_dim": "2", "train.epochs": "24", "train.seed": "1", "evaluate.seed": "1"}


def entrant(number, sha256=None, **params):
    changed = PARAMS | {key.replace("__", "."): value for key, value in params.items()}
    version = SimpleNamespace(name="candidates", version=number, tags={})
    stored = StoredModel(None, "run", sha256 or f"{number}" * 64, f"models:/candidates/{number}", version)
    return RegisteredVersion(stored, SimpleNamespace(data=SimpleNamespace(params=changed)))


def seeds(*numbers):
    return [entrant(number, train__seed=str(number)) for number in numbers]


def test_one_candidate_or_three_seeds_may_stand_against_a_champion_or_none():
    for candidates in (seeds(1), seeds(1, 2, 3), seeds(1, 2, 3, 4)):
        require_contest(candidates, None)
        require_contest(candidates, entrant(9))
    first = seeds(4)[0]
    assert (first.title, first.uri, first.number) == ("candidates v4", "models:/candidates/4", "4")
    assert first.as_dict() == {"name": "candidates", "version": "4", "model_digest": "4" * 64, "run_id": "run"}


@pytest.mark.parametrize(
    ("candidates", "sentence"),
    [
        (seeds(1, 2), "two seeds are too few to estimate the spread of seeds; name one model, or 3 or more"),
        (seeds(1, 2, 1), "one model is named twice"),
        ([entrant(9)], "candidates v9 is the champion;"),
        ([*seeds(1, 2), entrant(9, train__seed="9")], "candidates v9 is the champion;"),
        (
            [*seeds(1, 2), entrant(3, model__beta="50.0")],
            r"candidates v3 is not another seed of candidates v1: model\.beta is 50\.0, not 1\.0",
        ),
        ([*seeds(1, 2), entrant(3, train__more="1")], r"train\.more is 1, not None"),
    ],
)
def test_what_is_no_contest_is_one_sentence(candidates, sentence):
    with pytest.raises(VaelineError, match=sentence):
        require_contest(candidates, entrant(9))


def test_how_a_model_was_evaluated_does_not_make_it_another_configuration():
    require_contest([*seeds(1, 2), entrant(3, evaluate__seed="7")], None)
