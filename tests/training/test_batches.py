import numpy as np
import pytest

from vaeline.data.prepared import read_prepared
from vaeline.training.batches import Examples, ordered_batches, shuffled_batches


@pytest.mark.parametrize("size", [1, 30 * 28 * 28, 1000 * 28 * 28])
def test_batches_do_not_depend_on_the_size_of_shards(size, prepared, prepared_shards):
    split = read_prepared(prepared_shards("shards", size)).splits["train"]
    found, whole = (Examples(each.images, each.labels) for each in (split, prepared.splits["train"]))
    for epoch in (0, 1):
        for batch, wanted in zip(
            shuffled_batches(found, 64, 1, epoch), shuffled_batches(whole, 64, 1, epoch), strict=True
        ):
            np.testing.assert_array_equal(batch.images, wanted.images)
            np.testing.assert_array_equal(batch.labels, wanted.labels)
    for batch, wanted in zip(ordered_batches(found, 100), ordered_batches(whole, 100), strict=True):
        np.testing.assert_array_equal(batch.images, wanted.images)
