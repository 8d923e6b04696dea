import pytest

from vaeline.gate.checks import NOT_RUN, at_least, at_most, holds, not_run
from vaeline.gate.statistics import FAIL, PASS


@pytest.mark.parametrize(
    ("value", "floor", "verdict"),
    [
        (2.0, 2.0, PASS),
        (1.99, 2.0, FAIL),
        (0.0, 0.0, PASS),
        (None, 0.0, PASS),
        (None, 0.1, FAIL),
        (float("nan"), 0.1, FAIL),
        (float("-inf"), 0.0, FAIL),
    ],
)
def test_a_floor_is_reached_or_not_and_what_cannot_be_had_reaches_nothing_but_0(value, floor, verdict):
    check = at_least("kl", "KL", value, floor)
    assert (check.name, check.verdict, check.limit) == ("kl", verdict, floor)
    assert f"at least {floor:g} is required" in check.sentence


@pytest.mark.parametrize(("value", "verdict"), [(3.0, PASS), (3.1, FAIL), (float("nan"), FAIL), (float("inf"), FAIL)])
def test_a_budget_is_kept_or_not(value, verdict):
    check = at_most("size", "size", value, 3.0)
    assert (check.verdict, check.value is value, check.limit) == (verdict, True, 3.0)


def test_any_reason_is_a_failure_and_all_of_them_are_told():
    assert holds("data", [], "it fits").verdict == PASS
    assert holds("data", [], "it fits").sentence == "it fits"
    check = holds("data", ["one", "two"], "it fits")
    assert (check.verdict, check.sentence) == (FAIL, "one; two")


def test_what_was_not_run_has_neither_passed_nor_failed():
    assert not_run("golden", "no server").verdict == NOT_RUN not in {PASS, FAIL}
