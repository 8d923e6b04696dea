"""The validation of data: Great Expectations over the table of image statistics. It fails closed."""

import logging
import shutil
import sqlite3
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from vaeline.artifacts import scratch_beside
from vaeline.validation.expectations import Expected, build_expectations
from vaeline.validation.profile import Profile

OFFENDERS_SHOWN, UNUSUAL_SHOWN = 1000, 100
TABLE = "statistics"


@dataclass(frozen=True)
class FailedExpectation:
    """An expectation that does not hold: its name, what was found, and the images that show it.

    by_itself: whether each of these images violates it alone. If not, they are the images that change an average most.
    notes: what is wrong with each of these images, where the table says it.
    """

    name: str
    observed: str
    expected: dict[str, Any]
    images_counted: int
    image_ids: list[str] = field(default_factory=list)
    by_itself: bool = True
    notes: list[str] = field(default_factory=list)

    def line(self) -> str:
        """One line for a terminal."""
        named = [*self.image_ids[:5]]
        if self.notes:
            named = [f"{image_id} ({note})" for image_id, note in zip(named, self.notes, strict=False)]
        shown = f"; images {', '.join(named)}" + (" …" if self.images_counted > 5 else "")
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
    """Check a whole table of `image_statistics`; see `validate_parts`."""
    return validate_parts([table], profile, docs, expected)


def validate_parts(
    parts: Iterable[pd.DataFrame], profile: Profile, docs: Path, expected: Sequence[Expected] | None = None
) -> Verdict:
    """Check the parts of a table of `image_statistics`, and write Data Docs as a static site into `docs`.

    The parts become a table of SQLite, which is removed afterwards: Great Expectations then needs no more memory for
    more images.

    expected: the expectations; None for those that `profile` has for whole splits.

    Errors of Great Expectations are not caught: a validation that cannot run does not pass.
    """
    with (
        scratch_beside(docs.parent / "statistics") as folder,
        closing(sqlite3.connect(folder / "statistics.db")) as database,
    ):
        for part in parts:
            part.to_sql(TABLE, database, index=False, if_exists="append")
        _add_class_shares(database)
        rows = _rows_by_split(database)
        expected = build_expectations(profile, rows) if expected is None else expected
        by_name = _evaluate(folder / "statistics.db", profile, docs, expected)
        if set(by_name) != {item.name for item in expected}:
            raise RuntimeError(f"only {len(by_name)} of {len(expected)} expectations were evaluated")
        failures = [_failure(item, by_name[item.name], database) for item in expected if not by_name[item.name].success]
    return Verdict(profile=profile.name, expectations=len(expected), rows=rows, failures=failures)


def _add_class_shares(database: sqlite3.Connection) -> None:
    """Add the column class_share, the share of a row's label among the rows of its split."""
    database.executescript(f"""
        CREATE TEMP TABLE shares AS
        SELECT split, label, COUNT(*) * 1.0 / SUM(COUNT(*)) OVER (PARTITION BY split) AS share
        FROM {TABLE} GROUP BY split, label;
        ALTER TABLE {TABLE} ADD COLUMN class_share REAL;
        UPDATE {TABLE} SET class_share = (
            SELECT share FROM shares WHERE shares.split = {TABLE}.split AND shares.label = {TABLE}.label
        );
    """)


def _rows_by_split(database: sqlite3.Connection) -> dict[str, int]:
    return dict(database.execute(f"SELECT split, COUNT(*) FROM {TABLE} GROUP BY split ORDER BY split"))


def _evaluate(database: Path, profile: Profile, docs: Path, expected: Sequence[Expected]) -> dict[str, Any]:
    """The result of each expectation by its name."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    # SQLAlchemy decodes the path, and SQLite then reads it as a URI; Great Expectations takes no space in an address.
    address = f"sqlite:///file:{quote(quote(str(database.resolve())))}?uri=true"
    source = context.data_sources.add_sqlite("images", connection_string=address)
    suite = context.suites.add(gx.ExpectationSuite(profile.name, expectations=[_build(item) for item in expected]))
    batch = source.add_table_asset(TABLE, table_name=TABLE).add_batch_definition_whole_table("all")
    definition = gx.ValidationDefinition(name="images", data=batch, suite=suite)
    checkpoint = gx.Checkpoint(
        name="validation",
        validation_definitions=[context.validation_definitions.add(definition)],
        result_format={
            "result_format": "SUMMARY",
            "unexpected_index_column_names": ["image_id"],
            "partial_unexpected_count": OFFENDERS_SHOWN,
        },
    )
    _add_docs_site(context, docs)
    outcome = context.checkpoints.add(checkpoint).run(run_id=gx.RunIdentifier(run_name=profile.name))
    with _failing(logging.getLogger("great_expectations.render.renderer.site_builder")):
        context.build_data_docs(site_names=["local"])
    (results,) = outcome.run_results.values()
    configured = [(result.expectation_config, result) for result in results.results]
    return {config.meta["name"]: result for config, result in configured if config and config.meta}


@contextmanager
def _failing(logger: logging.Logger) -> Generator[None]:
    """Raise an error that a library would only log, such as a full disk."""

    def raise_it(record: logging.LogRecord) -> bool:
        if error := sys.exception():
            raise error
        return True

    logger.addFilter(raise_it)
    try:
        yield
    finally:
        logger.removeFilter(raise_it)


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


def _failure(item: Expected, result, database: sqlite3.Connection) -> FailedExpectation:
    found, notes = result.result, []
    by_itself = "partial_unexpected_index_list" in found
    if by_itself:
        counted, of = found["unexpected_count"], found["element_count"]
        if item.note:
            image_ids, notes = _worst(item, database)
            of -= found["missing_count"]
        else:
            image_ids = [row["image_id"] for row in found["partial_unexpected_index_list"]]
        worst = ", ".join(_short(value) for value in found["partial_unexpected_list"][:3])
        observed = f"{counted} of {of} images, such as {item.arguments['column']} = {worst}"
    elif "observed_value" in found:
        image_ids = _most_unusual(item, database)
        counted = len(image_ids)
        observed = f"{_short(found['observed_value'])}, expected {item.arguments.get('min_value')} to " + str(
            item.arguments.get("max_value")
        )
    else:
        messages = [info.get("exception_message") for info in (result.exception_info or {}).values() if info]
        image_ids, counted, observed = (
            [],
            0,
            f"could not be evaluated: {next(filter(None, messages), 'no reason given')}",
        )
    expected = {**item.arguments, **({"where": "{} = {}".format(*item.where)} if item.where else {})}
    return FailedExpectation(item.name, observed, expected, counted, image_ids, by_itself, notes)


def _worst(item: Expected, database: sqlite3.Connection) -> tuple[list[str], list[str]]:
    """The images above a limit, the highest first, and the note of each."""
    (column, value), measured = item.where or ("rowid", None), item.arguments["column"]
    query = f"""
        SELECT image_id, "{item.note}" FROM {TABLE} WHERE (? IS NULL OR "{column}" = ?) AND "{measured}" > ?
        ORDER BY "{measured}" DESC, rowid LIMIT {OFFENDERS_SHOWN}
    """
    found = database.execute(query, (value, value, item.arguments["max_value"])).fetchall()
    name = str(item.note).replace("_", " ")
    return [image_id for image_id, _ in found], [f"{name} {_short(note)}" for _, note in found]


def _short(value: object) -> str:
    if value is None:
        return "no image to measure"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _most_unusual(item: Expected, database: sqlite3.Connection) -> list[str]:
    """For a band of an average: the 100 images that are farthest from the middle of the band."""
    if item.type != "ExpectColumnMeanToBeBetween":
        return []
    middle = (item.arguments["min_value"] + item.arguments["max_value"]) / 2
    column, value = item.where or ("rowid", None)
    query = f"""
        SELECT image_id FROM {TABLE} WHERE ? IS NULL OR "{column}" = ?
        ORDER BY ABS("{item.arguments["column"]}" - ?) DESC, rowid LIMIT {UNUSUAL_SHOWN}
    """
    return [image_id for (image_id,) in database.execute(query, (value, value, middle))]
