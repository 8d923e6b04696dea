"""Stage `validate`: the data must meet its profile, or the pipeline stops here."""

from pathlib import Path

from vaeline.artifacts import atomic_file, write_json
from vaeline.data.prepared import read_prepared
from vaeline.data.statistics import read_statistics, statistics_parts, write_statistics
from vaeline.errors import VaelineError, run_stage
from vaeline.params.base import read_section
from vaeline.params.data import DataParams
from vaeline.params.validate import ValidateParams
from vaeline.validation.checkpoint import validate_parts
from vaeline.validation.contact_sheet import write_result
from vaeline.validation.profile import profile_path, read_profile, rows_added, with_rows

PREPARED = Path("data/prepared")
STATISTICS = Path("data/statistics.parquet")
RESULT = Path("reports/validation.json")
REPORT = Path("reports/validation")


def main() -> None:
    try:
        data = read_section("data", DataParams)
        chosen = read_section("validate", ValidateParams)
        profile = read_profile(profile_path(chosen.profile, data.name))
        prepared = read_prepared(PREPARED)
        with atomic_file(STATISTICS) as temporary:
            write_statistics(statistics_parts(prepared.splits, profile.family), temporary)
        thresholds = with_rows(profile, rows_added(prepared.manifest))
        verdict = validate_parts(read_statistics(STATISTICS), thresholds, REPORT / "docs")
    except BaseException as error:
        write_json(RESULT, {"status": "error", "reason": f"{type(error).__name__}: {error}"})
        raise
    write_result(verdict, prepared.splits, RESULT, REPORT / "contact_sheet.png")
    if not verdict.passed:
        for failure in verdict.failures:
            print(failure.line())
        raise VaelineError(
            f"{prepared.title} fails {len(verdict.failures)} of {verdict.expectations} expectations of the profile "
            f"{profile.name!r}; nothing was trained. See {RESULT}, {REPORT}/contact_sheet.png and "
            f"{REPORT}/docs/index.html"
        )
    print(f"validate: {prepared.title} meets all {verdict.expectations} expectations of the profile {profile.name!r}")


if __name__ == "__main__":
    run_stage(main)
