from dataclasses import replace

import numpy as np
import pytest
from metric_checks import check
from sklearn.metrics import roc_auc_score

from vaeline.defects import baselines, moments
from vaeline.defects.baselines import nearest_neighbours
from vaeline.defects.measure import GROUP, defects_auroc, measure_defects, methods_of, validation_of
from vaeline.evaluation.noise import subset
from vaeline.evaluation.subject import Subject
from vaeline.images.arrays import to_unit
from vaeline.images.lazy import LazyImages
from vaeline.params.base import flatten
from vaeline.scores import SCORES

METHODS = {"heat_map", "mse", "pca_heat_map", "pca_mse", "neighbour_heat_map", "neighbour_mse"}
WITHOUT_ERROR = ("f1", "false_alarms", "images", "pixel_auroc", "aupro")


@pytest.fixture(scope="module")
def measured(tile_subject, params):
    others = {"one_class": np.linspace(0, 1, len(tile_subject.rows))}
    settings = params.evaluate.model_copy(update={"false_alarms": 0.1})
    return measure_defects(tile_subject, settings, others)


def test_every_kind_of_defect_and_all_together_are_measured_for_all_methods(measured):
    assert set(measured.metrics) == {"scratch", "spot", "all"}
    for kind, images in (("scratch", 10), ("spot", 10), ("all", 20)):
        found = measured.metrics[kind]
        assert set(found) == METHODS | {"one_class"}
        assert {scores["images"] for scores in found.values()} == {images}
        assert all({"pixel_auroc", "aupro"} <= set(found[name]) for name in METHODS if name.endswith("heat_map"))
        assert set(found["one_class"]) == {
            "images",
            "auroc",
            "auroc_se",
            "average_precision",
            "average_precision_se",
        }
    without_error = [name for name in flatten(measured.metrics) if name.rpartition(".")[2] in WITHOUT_ERROR]
    check(measured, without_error)


def test_planted_defects_are_found(measured):
    for method in METHODS:
        assert measured.metrics["all"][method]["auroc"] > 0.9, method
    for method in ("heat_map", "pca_heat_map"):
        assert measured.metrics["all"][method]["pixel_auroc"] > 0.95
        assert measured.metrics["all"][method]["aupro"] > 0.8
        assert measured.metrics["all"][method]["f1"] > 0.85


def test_the_gate_asks_for_the_auroc_of_all_defects(measured, tile_subject):
    assert defects_auroc(tile_subject) == pytest.approx(measured.metrics["all"]["heat_map"]["auroc"], abs=1e-4)


def test_training_and_validation_images_are_read_in_parts(tile_subject, prepared_tiles, params, monkeypatch):
    for room in (baselines, moments):
        monkeypatch.setattr(room, "PART_NUMBERS", 5 * 16 * 20)
    read, get = [], LazyImages.__getitem__

    def watched(images: LazyImages, chosen: object) -> np.ndarray:
        found = get(images, chosen)
        read.append((found.dtype.name, len(found)))
        return found

    monkeypatch.setattr(LazyImages, "__getitem__", watched)
    train = prepared_tiles.splits["train"].images
    methods = methods_of(tile_subject, params.evaluate.model_copy(update={"reference_images": 25}))
    assert max(read) == ("uint8", 5)
    images = to_unit(prepared_tiles.splits["test"].images[:5])
    nearest = nearest_neighbours(train[subset(len(train), 25, 1)])(images)
    np.testing.assert_array_equal(methods["neighbour_"].reconstruct(images), nearest)
    read.clear()
    assert len(validation_of(tile_subject).first(10, 1).images) == 10
    assert not read


def test_the_column_of_scores_is_in_the_order_of_the_test_images(measured, tile_subject):
    column = measured.columns["heat_map"]
    expected = roc_auc_score(tile_subject.labels != 0, column)
    assert measured.metrics["all"]["heat_map"]["auroc"] == pytest.approx(expected, abs=1e-5)


def test_defective_images_without_a_mask_count_for_scores_but_not_for_pixels(tile_subject, prepared_tiles, params):
    masks = np.array(prepared_tiles.test_masks[:])
    masks[tile_subject.labels == 1] = 0
    part = Subject(tile_subject.model, replace(prepared_tiles, test_masks=masks), 1)
    found = measure_defects(part, params.evaluate, {}).metrics
    assert "auroc" in found["scratch"]["heat_map"]
    assert "pixel_auroc" not in found["scratch"]["heat_map"]
    assert found["all"]["heat_map"]["pixel_auroc"] == found["spot"]["heat_map"]["pixel_auroc"]


def test_the_group_is_for_data_with_good_and_defective_test_images(tile_subject, prepared_tiles, prepared):
    assert GROUP.applies(tile_subject)
    assert not GROUP.applies(Subject(tile_subject.model, prepared, 1))
    test = prepared_tiles.splits["test"]
    alone = replace(test, images=test.images[:15], labels=test.labels[:15], indices=test.indices[:15])
    only_good = replace(prepared_tiles, splits={**prepared_tiles.splits, "test": alone})
    assert not GROUP.applies(Subject(tile_subject.model, only_good, 1))


def test_the_score_of_an_image_is_bound_to_entries_of_the_protocol(measured):
    assert set(SCORES["heat_map"].protocol) <= {f"{GROUP.name}.{key}" for key in measured.protocol}
