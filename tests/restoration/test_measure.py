from metric_checks import check

from vaeline.restoration.measure import measure_restoration


def test_restoration_is_measured_beside_damage_and_median(subject, evaluate_params):
    measured = measure_restoration(subject, evaluate_params)
    check(measured)
    assert set(measured.metrics) == {"noise_0.1", "noise_0.25", "noise_0.5", "box"}
    assert set(measured.metrics["box"]) == {"damaged", "median", "restored"}
    assert measured.metrics["noise_0.5"]["damaged"]["psnr"] < measured.metrics["noise_0.1"]["damaged"]["psnr"]


def test_a_box_that_covers_the_whole_image_is_not_measured_and_the_reason_is_told(subject, evaluate_params):
    few = {"restoration_images": 2, "noise_levels": (0.1,)}
    for box, measured in ((27, {"noise_0.1", "box"}), (28, {"noise_0.1"}), (40, {"noise_0.1"})):
        found = measure_restoration(subject, evaluate_params.model_copy(update={**few, "box": box}))
        check(found)
        assert set(found.metrics) == measured
        assert found.protocol["box"].startswith("left out: " if box > 27 else "27 x 27 pixels")
