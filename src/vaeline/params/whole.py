"""`params.yaml`, typed: one frozen model a section; an unknown key is refused and the nearest valid one named."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from ruamel.yaml import YAML, YAMLError

from vaeline.artifacts import atomic_file
from vaeline.errors import VaelineError
from vaeline.family import FAMILY

PARAMS_FILE = Path("params.yaml")
DOWNLOADED = ("mnist", "fashion_mnist", "kmnist")


class Section(BaseModel):
    """What the sections share: strict types, no unknown keys, no change after reading."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class DataParams(Section):
    """Where images come from and how they are split."""

    dataset: str = Field(min_length=1)
    validation_one_in: int = Field(ge=2)
    test_one_in: int = Field(ge=2)
    seed: int = Field(ge=0)
    hold_back: int = Field(ge=0)
    anomalies: list[str]

    @property
    def name(self) -> str:
        """The data set's short name."""
        return dataset_name(self.dataset)


class IngestParams(Section):
    """Where batches of new images arrive, and how often a clean one may be refused."""

    source: str = Field(min_length=1)
    false_alarms: float = Field(gt=0, lt=1)


class ValidateParams(Section):
    """Which thresholds the data must meet."""

    profile: str = Field(min_length=1)


class ClassifyParams(Section):
    """How the classifier is trained whose features measure samples."""

    seed: int = Field(ge=0)
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    width: int = Field(ge=1)
    min_accuracy: float = Field(ge=0, le=1)


class PriorParams(Section):
    """What p(z) is; the other keys belong to some kinds only."""

    kind: Literal["normal", "label", "vamp", "flow", "mixture", "autoregressive"]
    components: int = Field(ge=1)
    layers: int = Field(ge=1)
    width: int = Field(ge=1)


class IwaeParams(Section):
    """The bound of `kind: iwae`."""

    samples: int = Field(ge=1)
    estimator: Literal["dreg", "plain"]


class CodebookParams(Section):
    """The codes of a VQ-VAE; model.latent_dim is the length of one."""

    codes: int = Field(ge=2)
    decay: float = Field(ge=0, lt=1)
    commitment: float = Field(ge=0)
    restart_below: float = Field(ge=0, lt=1)


class ModelParams(Section):
    """The model: its kind, the network, the likelihood of a pixel, the prior and the terms of the loss."""

    kind: str
    architecture: Literal["conv", "mlp", "resconv", "resmlp"]
    latent_dim: int = Field(ge=1)
    width: int = Field(ge=1)
    depth: int = Field(ge=1)
    activation: Literal["relu", "leaky_relu", "silu"]
    normalization: Literal["none", "batch", "layer"]
    dropout: float = Field(ge=0, lt=1)
    likelihood: Literal["bernoulli", "continuous_bernoulli", "gaussian", "calibrated_gaussian", "mse"]
    sigma: float = Field(gt=0)
    binarize: bool
    beta: float = Field(ge=0)
    free_bits: float = Field(ge=0)
    capacity: float = Field(ge=0)
    prior: PriorParams
    iwae: IwaeParams
    codebook: CodebookParams

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        if kind not in FAMILY:
            raise ValueError(f"no such model{_nearest_of(kind, FAMILY)}")
        return kind

    def model_post_init(self, context: Any) -> None:
        if self.binarize and self.likelihood != "bernoulli":
            raise ValueError("binarize: true needs likelihood: bernoulli")
        if self.free_bits and self.capacity:
            raise ValueError("free_bits and capacity are two answers to one question; leave free_bits at 0")
        if self.kind == "iwae" and (self.free_bits or self.capacity):
            raise ValueError("free_bits and capacity are terms of the KL, which the bound of kind: iwae does not have")
        if self.prior.kind == "flow" and self.latent_dim < 2:
            raise ValueError("prior.kind: flow needs a latent_dim of 2 or more")
        if self.free_bits and self.prior.kind not in ("normal", "mixture"):
            raise ValueError("free_bits needs the KL of each latent, which only prior.kind: normal has while training")
        if self.prior.kind == "label" and self.kind != "cvae":
            raise ValueError("prior.kind: label needs kind: cvae, the model that is told labels")
        if self.prior.kind == "vamp" and self.kind == "cvae":
            raise ValueError("kind: cvae needs an encoder of images with labels, which prior.kind: vamp has none of")
        if (self.kind == "vqvae") != (self.prior.kind == "autoregressive"):
            raise ValueError("prior.kind: autoregressive is a prior over codes; it and kind: vqvae need each other")
        if self.kind == "vqvae" and self.architecture not in ("conv", "resconv"):
            raise ValueError("kind: vqvae needs a grid of features; set architecture: conv or resconv")


class TrainParams(Section):
    """Optimizer, schedules and stopping."""

    seed: int = Field(ge=0)
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    optimizer: Literal["adam", "adamw"]
    learning_rate: float = Field(gt=0)
    learning_rate_warmup: float = Field(ge=0)
    weight_decay: float = Field(ge=0)
    kl_warmup: int = Field(ge=0)
    patience: int = Field(ge=1)
    jit_compile: bool
    min_kl: float = Field(ge=0)


class EvaluateParams(Section):
    """How the test images are scored."""

    seed: int = Field(ge=0)
    nll_images: int = Field(ge=2)
    nll_samples: int = Field(ge=1)
    grid_points: int = Field(ge=16)
    samples: int = Field(ge=10)
    reference_images: int = Field(ge=100)
    restoration_images: int = Field(ge=2)
    noise_levels: list[float]
    box: int = Field(ge=1)
    code_step: float = Field(gt=0)


class PlotParams(Section):
    """How the figures are drawn."""

    seed: int = Field(ge=0)
    manifold_size: int = Field(ge=2)
    columns: int = Field(ge=1)
    steps: int = Field(ge=2)


class GateFloors(Section):
    """What a candidate must reach, whatever the champion is."""

    kl: float | None = Field(ge=0)
    active_units: int | None = Field(ge=0)
    precision: float | None = Field(ge=0, le=1)
    recall: float | None = Field(ge=0, le=1)
    auroc: float | None = Field(ge=0, le=1)


class GateBudget(Section):
    """What serving a candidate may cost."""

    mebibytes: float | None = Field(gt=0)
    milliseconds: float | None = Field(gt=0)


class GateParams(Section):
    """When a candidate may take the champion's place; a threshold that is null is one that nobody has set."""

    metric: Literal[
        "neg_elbo",
        "reconstruction",
        "nll",
        "nll_bound",
        "nll_neg_elbo",
        "mse",
        "knn_accuracy",
        "probe_accuracy",
        "bayes_accuracy",
        "guess_accuracy",
    ]
    mode: Literal["superior", "non_inferior"]
    nll_images: int = Field(ge=2)
    nll_samples: int = Field(ge=1)
    confidence: float = Field(gt=0.5, lt=1)
    resamples: int = Field(ge=100)
    seed: int = Field(ge=0)
    min_gain: float | None = Field(ge=0)
    margin: float | None = Field(ge=0)
    slice_margin: float | None = Field(ge=0)
    worst: float | None
    ood_kind: str
    ood_score: Literal["neg_elbo", "reconstruction", "kl", "one_class", "one_class_latent"]
    floors: GateFloors
    budget: GateBudget

    @property
    def unset(self) -> list[str]:
        """The dotted keys of the thresholds that are null."""
        return [f"gate.{key}" for key, value in flatten(self.model_dump()).items() if value is None]


class RegistryParams(Section):
    """How old things in the registry may be."""

    report_days: float = Field(gt=0)
    stale_days: float = Field(gt=0)


class LeastEffects(Section):
    """How far a window must be from the reference for it to matter, by test; between 0 and 1."""

    scores: float = Field(ge=0, le=1)
    unusual: float = Field(ge=0, le=1)
    latents: float = Field(ge=0, le=1)
    class_mix: float = Field(ge=0, le=1)
    labels: float = Field(ge=0, le=1)


class MonitorParams(Section):
    """When new images have drifted from those that the champion was made for."""

    window_rows: int = Field(ge=50)
    least_rows: int = Field(ge=50)
    reference_rows: int = Field(ge=100)
    seed: int = Field(ge=0)
    alpha: float = Field(gt=0, lt=1)
    permutations: int = Field(ge=99)
    neighbours: int = Field(ge=1, le=50)
    least_effects: LeastEffects
    k: int = Field(ge=1)
    n: int = Field(ge=1)

    def model_post_init(self, context: Any) -> None:
        if self.k > self.n:
            raise ValueError("k of n windows: k cannot be above n")
        if self.least_rows > self.window_rows:
            raise ValueError("least_rows cannot be above window_rows")


class RetrainParams(Section):
    """When a retraining is due, and what it may do."""

    max_age_days: float = Field(gt=0)
    quiet_days: float = Field(gt=0)
    promote: bool

    @field_validator("quiet_days")
    @classmethod
    def _rings_after_the_age(cls, quiet_days: float, info: ValidationInfo) -> float:
        if quiet_days <= info.data.get("max_age_days", 0):
            raise ValueError("the alarm must wait for longer than retrain.max_age_days, or it rings in good health")
        return quiet_days


class ComputeParams(Section):
    """What the arithmetic runs on: another number of threads gives other bits."""

    threads: int = Field(ge=1)


class Params(Section):
    """The whole of `params.yaml`."""

    data: DataParams
    ingest: IngestParams
    validate_: ValidateParams = Field(alias="validate")
    classify: ClassifyParams
    model: ModelParams
    train: TrainParams
    evaluate: EvaluateParams
    plot: PlotParams
    gate: GateParams
    registry: RegistryParams
    monitor: MonitorParams
    retrain: RetrainParams
    compute: ComputeParams


def dataset_name(dataset: str) -> str:
    """A data set's short name: for a path, its last part without an ending, in letters, digits, _ and -."""
    return re.sub(r"[^a-z0-9_-]+", "-", Path(dataset).stem.lower())


def read_params(path: Path = PARAMS_FILE) -> Params:
    """Read and check `params.yaml`.

    Raises:
        VaelineError: the file is missing, is no YAML, or a key is unknown, missing or out of range.
    """
    return parse_params(_load(path), str(path))


def parse_params(values: object, where: str = "params.yaml") -> Params:
    """Check nested plain values; `where` names them in an error. Raises VaelineError."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise VaelineError(f"{where}: {'; '.join(_explain(item) for item in error.errors())}") from None


def change_params(changes: dict[str, object], path: Path = PARAMS_FILE) -> None:
    """Set dotted keys (`data.dataset`) in `params.yaml`, keeping its comments; checked before it is written.

    Raises:
        VaelineError: a key or value is not valid; the file is then as it was.
    """
    content = _load(path)
    for dotted, value in changes.items():
        *parents, key = dotted.split(".")
        section = content
        for parent in parents:
            section = section.get(parent) if isinstance(section, dict) else None
        if not isinstance(section, dict):
            raise VaelineError(f"{path}: no section {'.'.join(parents)!r} for {dotted!r}{_nearest(parents[0], Params)}")
        section[key] = value
    parse_params(content, str(path))
    with atomic_file(path) as temporary:
        _yaml().dump(content, temporary)


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections as dotted keys: `{"model": {"beta": 1}}` gives `{"model.beta": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        nested = flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
        flat.update(nested)
    return flat


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = 120
    yaml.preserve_quotes = True
    return yaml


def _load(path: Path) -> Any:
    try:
        return _yaml().load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise VaelineError(f"{path}: not found; run from the repository's root") from None
    except YAMLError as error:
        raise VaelineError(f"{path}: not YAML: {' '.join(str(error).split())}") from None


def _explain(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        section: type[BaseModel] = Params
        for part in error["loc"][:-1]:
            section = _sections(section)[part]
        return f"unknown key {key!r}{_nearest(error['loc'][-1], section)}"
    if error["type"] == "missing":
        return f"key {key!r} is missing"
    got = "" if isinstance(error["input"], dict) else f" (got {error['input']!r})"
    return f"{key}: {error['msg'].removeprefix('Value error, ')}{got}"


def _sections(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _nearest(key: str, section: type[BaseModel]) -> str:
    return _nearest_of(str(key), _sections(section))


def _nearest_of(word: str, valid: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, valid, n=1, cutoff=0.4)
    return f"; did you mean {close[0]!r}?" if close else f"; valid: {', '.join(valid)}"
