"""The validation of data: Great Expectations over the table of image statistics. It fails closed."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from vaeline.validation.expectations import Expected, build_expectations
from vaeline.validation.profile import Profile, class_shares

OFFENDERS_SHOWN = 1000


@dataclass(frozen=True)
class FailedExpectation:
    """An expectation that does not hold: its name, what was found, and the images that show it.

    by_itself: whether each of these images violates it alone. If not, they are the images that change an average most.
    """

    name: str
    observed: str
    expected: dict[str, Any]
    images_counted: int
    image_ids: list[str] = field(default_factory=list)
    by_itself: bool = True

    def line(self) -> str:
        """One line for a terminal."""
        shown = f"; images {', '.join(self.image_ids[:5])}" + (" …" if self.images_counted > 5 else "")
        return f"FAILED {self.name}: {self.observed}{shown if self.image_ids else ''}"


@dataclass(frozen=True)
class Verdict:
    """The result of a validation. It passes only if every expectation was evaluated and holds."""

    profile: str
    expectations: int
    rows: dict[str, int]
    failures: list[FailedExpectation]

    @property
    def passed(self) -> bool:
        """Whether training may start."""
        return not self.failures

    def as_dict(self) -> dict[str, Any]:
        """Plain values without times or ids: equal data gives equal bytes."""
        return {"status": "passed" if self.passed else "failed", **asdict(self)}


def validate(table: pd.DataFrame, profile: Profile, docs: Path, expected: Sequence[Expected] | None = None) -> Verdict:
    """Check a table of `image_statistics`, and write Data Docs as a static site into `docs`.

    expected: the expectations; None for those that `profile` has for whole splits.

    Errors of Great Expectations are not caught: a validation that cannot run does not pass.
    """
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    table = table.assign(class_share=class_shares(table))
    if expected is None:
        expected = build_expectations(profile, sorted(table["split"].unique()))
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    batch = context.data_sources.add_pandas("images").add_dataframe_asset("statistics")
    suite = context.suites.add(gx.ExpectationSuite(profile.name, expectations=[_build(item) for item in expected]))
    definition = gx.ValidationDefinition(
        name="images", data=batch.add_batch_definition_whole_dataframe("all"), suite=suite
    )
    checkpoint = gx.Checkpoint(
        name="validation",
        validation_definitions=[context.validation_definitions.add(definition)],
        result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["image_id"]},
    )
    _add_docs_site(context, docs)
    outcome = context.checkpoints.add(checkpoint).run(
        batch_parameters={"dataframe": table}, run_id=gx.RunIdentifier(run_name=profile.name)
    )
    context.build_data_docs(site_names=["local"])
    (results,) = outcome.run_results.values()
    configured = [(result.expectation_config, result) for result in results.results]
    by_name = {config.meta["name"]: result for config, result in configured if config and config.meta}
    if set(by_name) != {item.name for item in expected}:
        raise RuntimeError(f"only {len(by_name)} of {len(expected)} expectations were evaluated")
    return Verdict(
        profile=profile.name,
        expectations=len(expected),
        rows={str(split): int(count) for split, count in sorted(table["split"].value_counts().items())},
        failures=[_failure(item, by_name[item.name], table) for item in expected if not by_name[item.name].success],
    )


def _build(item: Expected):
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column

    condition = {"row_condition": Column(item.where[0]) == item.where[1]} if item.where else {}
    return getattr(gxe, item.type)(**item.arguments, **condition, meta={"name": item.name}, description=item.name)


def _add_docs_site(context, docs: Path) -> None:
    shutil.rmtree(docs, ignore_errors=True)
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.resolve())}
    site = {"class_name": "SiteBuilder", "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"}}
    context.add_data_docs_site("local", {**site, "store_backend": store})


def _failure(item: Expected, result, table: pd.DataFrame) -> FailedExpectation:
    found = result.result
    by_itself = "unexpected_index_list" in found
    if by_itself:
        image_ids = [row["image_id"] for row in found["unexpected_index_list"]]
        worst = ", ".join(_short(value) for value in found["partial_unexpected_list"][:3])
        observed = f"{len(image_ids)} of {found['element_count']} images, such as {item.arguments['column']} = {worst}"
    elif "observed_value" in found:
        image_ids = _most_unusual(item, table)
        observed = f"{_short(found['observed_value'])}, expected {item.arguments.get('min_value')} to " + str(
            item.arguments.get("max_value")
        )
    else:
        messages = [info.get("exception_message") for info in (result.exception_info or {}).values() if info]
        image_ids, observed = [], f"could not be evaluated: {next(filter(None, messages), 'no reason given')}"
    expected = {**item.arguments, **({"where": "{} = {}".format(*item.where)} if item.where else {})}
    return FailedExpectation(item.name, observed, expected, len(image_ids), image_ids[:OFFENDERS_SHOWN], by_itself)


def _short(value: object) -> str:
    if value is None:
        return "no image to measure"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _most_unusual(item: Expected, table: pd.DataFrame) -> list[str]:
    """For a band of an average: the 100 images that are farthest from the middle of the band."""
    if item.type != "ExpectColumnMeanToBeBetween":
        return []
    rows = table if item.where is None else table[table[item.where[0]] == item.where[1]]
    middle = (item.arguments["min_value"] + item.arguments["max_value"]) / 2
    distance = (rows[item.arguments["column"]] - middle).abs()
    return rows.loc[distance.sort_values(ascending=False, kind="stable").index[:100], "image_id"].tolist()
