from metric_checks import check

from vaeline.restoration.measure import measure_restoration


def test_restoration_is_measured_beside_damage_and_median(subject, evaluate_params):
    measured = measure_restoration(subject, evaluate_params)
    check(measured)
    assert set(measured.metrics) == {"noise_0.1", "noise_0.25", "noise_0.5", "box"}
    assert set(measured.metrics["box"]) == {"damaged", "median", "restored"}
    assert measured.metrics["noise_0.5"]["damaged"]["psnr"] < measured.metrics["noise_0.1"]["damaged"]["psnr"]
