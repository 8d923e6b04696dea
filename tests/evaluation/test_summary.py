import math

import numpy as np
import pandas as pd
import pytest

from vaeline.evaluation.summary import nested, summarize, summarize_by_class

SCORES = pd.DataFrame(
    {"image": [0, 1, 2], "label": [0, 1, 1], "kl": [1.0, 3.0, 5.0], "nll": [2.0, np.nan, 6.0], "none": [np.nan] * 3}
)


def test_summaries_are_means_with_standard_errors_over_the_images_that_were_scored():
    summary = summarize(SCORES)
    assert summary == pytest.approx({"kl": 3, "kl_se": 2 / math.sqrt(3), "nll": 4, "nll_se": 2}, abs=1e-5)


def test_classes_are_summed_up_apart_by_name():
    by_class = summarize_by_class(SCORES, ["a", "b"])
    assert by_class["b"]["kl"] == 4.0
    assert by_class["b"]["nll"] == 6.0
    assert by_class["a"]["kl_se"] == 0.0


def test_rows_nest_by_two_keys():
    table = pd.DataFrame({"kind": ["x", "x"], "score": ["a", "b"], "auroc": [0.5, 0.123456789]})
    assert nested(table, ["kind", "score"]) == {"x": {"a": {"auroc": 0.5}, "b": {"auroc": 0.12346}}}
