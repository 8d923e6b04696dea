"""The file of a sweep: which parameters are searched, in what ranges, and how."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from vaeline.artifacts import canonical_json
from vaeline.errors import VaelineError
from vaeline.params.base import Section, Seed, check, flatten, load, nearest, nest
from vaeline.params.whole import Params, parse_params

SEARCHED = ("model.", "train.")
DIGITS = 4  # of a drawn float, so that people can read and copy it

Value = bool | int | float | str


def rounded(value: Value) -> Value:
    """A float with four digits; other values as they are."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _checked(value: Value) -> Value:
    """The value, if a record of a trial can hold it as it is."""
    if value != rounded(value):
        raise ValueError(f"{value}: a number has at most {DIGITS} digits")
    return value


class Choice(Section):
    """One of some values."""

    choice: list[Value] = Field(min_length=2)

    @field_validator("choice")
    @classmethod
    def _with_few_digits(cls, choice: list[Value]) -> list[Value]:
        return [_checked(value) for value in choice]

    @property
    def ends(self) -> list[Value]:
        """The values that are checked before the sweep starts: all of them."""
        return self.choice


class Range(Section):
    """A number from `low` to `high`, both included; an integer if both are. `log`: all magnitudes are as likely."""

    low: int | float
    high: int | float
    log: bool = False

    @property
    def ends(self) -> list[Value]:
        """The values that are checked before the sweep starts."""
        return [self.low, self.high]

    @property
    def is_integer(self) -> bool:
        """Whether only integers are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must be less than high")
        if self.log and self.low <= 0:
            raise ValueError("log: true needs a low above 0")
        for end in self.ends:
            _checked(end)
        return self


class EarlyStopping(Section):
    """ASHA (Li et al. 2020, arXiv:1810.05934): of the trials that reach a rung, one of `reduction` goes on."""

    first_epoch: int = Field(ge=1)
    reduction: float = Field(gt=1)


class SweepPlan(Section):
    """What `vaeline sweep` reads.

    metric: a column of `reports/history.csv`; a lower value is better. trials: how many sets of values are tried.
    at_once: how many of them are trained at the same time. search: `optuna` (TPE) or `random`.
    """

    metric: str
    trials: int = Field(ge=1)
    at_once: int = Field(ge=1)
    seed: Seed
    search: Literal["optuna", "random"]
    early_stopping: EarlyStopping | None
    space: dict[str, Choice | Range] = Field(min_length=1)

    @field_validator("metric")
    @classmethod
    def _of_validation(cls, metric: str) -> str:
        if not metric.startswith("val_"):
            raise ValueError("the metric must be one of validation images, such as val_neg_elbo")
        return metric


def read_plan(path: Path, params: Params) -> SweepPlan:
    """Read and check the file of a sweep.

    Every value of a choice and both ends of a range are tried in `params`, so that no trial fails on a wrong value.

    Raises:
        VaelineError: the file is missing, is no YAML, or a key or value is not valid.
    """
    content = load(path)
    if isinstance(content, dict) and isinstance(space := content.get("space"), dict):
        content["space"] = {key: _read_values(values, key, str(path)) for key, values in space.items()}
    plan = check(SweepPlan, content, str(path))
    known = [key for key in flatten(params.model_dump(by_alias=True)) if key.startswith(SEARCHED)]
    for key, values in plan.space.items():
        if key not in known:
            raise VaelineError(f"{path}: space: {key!r} cannot be searched{nearest(key, known)}")
        for value in values.ends:
            with_values(params, {key: value}, str(path))
    return plan


def _read_values(values: object, key: str, where: str) -> Choice | Range:
    return check(Choice if isinstance(values, dict) and "choice" in values else Range, values, where, ("space", key))


def with_values(params: Params, values: dict[str, Any], where: str = "the trial") -> Params:
    """The parameters with some dotted keys changed. Raises VaelineError if a value is not valid."""
    return parse_params(nest(flatten(params.model_dump(by_alias=True)) | values), where)


def trial_key(values: Mapping[str, Any]) -> str:
    """Twelve hex digits that identify the values of a trial."""
    return _key(values)


def sweep_key(plan: SweepPlan, params: Params, manifest: Mapping[str, Any]) -> str:
    """Twelve hex digits that identify all that the trials of a sweep depend on."""
    return _key(
        {
            "plan": plan.model_dump(exclude={"trials", "at_once"}),
            "model": params.model.model_dump(),
            "train": params.train.model_dump(),
            "compute": params.compute.model_dump(),
            "data": {name: split["images_sha256"] for name, split in manifest["splits"].items()},
        }
    )


def _key(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(content, decimals=12).encode()).hexdigest()[:12]
