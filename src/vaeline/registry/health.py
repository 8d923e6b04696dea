"""Check the registry: aliases, files, digests, tags, the ledger, and candidates that were never gated."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from vaeline.artifacts import digest
from vaeline.errors import VaelineError
from vaeline.registry.chain import Entry, broken_links
from vaeline.registry.garbage import MD5_TAG
from vaeline.registry.ledger import done_digest, read_ledger
from vaeline.registry.moves import LEDGER_TAG, tags_of
from vaeline.registry.names import CHAMPION, candidate_name, served_name, version_uri
from vaeline.registry.promotion import SOURCE_TAG
from vaeline.registry.stored import stored_version
from vaeline.registry.terms import GATE_TAGS, read_report
from vaeline.registry.versions import FOLDER, REGISTRY_URI, aliases_of, known_run, known_version, uri_of, versions_named
from vaeline.tracking.runs import DIGEST_TAG, FILES_TAG, KEY_TAG

ERROR: Literal["error"] = "error"
WARNING: Literal["warning"] = "warning"
MOVE_TAGS = (
    "vaeline.promoted_",
    "vaeline.promotion_",
    "vaeline.replaces_",
    "vaeline.rolled_back_",
    "vaeline.rollback_",
    LEDGER_TAG,
)


@dataclass(frozen=True)
class Finding:
    """A problem: where it is, what is wrong, and what to do."""

    level: Literal["error", "warning"]
    where: str
    what: str
    remedy: str


def check_registry(client: MlflowClient, dataset: str, stale_after: timedelta) -> list[Finding]:
    """All problems of a data set's candidates and served versions, their aliases and their ledger.

    Every archive is downloaded and its digest computed. Raises VaelineError if the store cannot be used.
    """
    served, candidates = served_name(dataset), candidate_name(dataset)
    entries = read_ledger(client, served)
    carried_out = done_digest(client, served, len(entries))
    copies, trained = (versions_named(client, name) for name in (served, candidates))
    found = [*_aliases(client, served), *_aliases(client, candidates)]
    if broken := broken_links(entries, carried_out):
        remedy = "compare `vaeline history` with an earlier export to see what was changed"
        found += [Finding(ERROR, f"ledger of {served}", sentence, remedy) for sentence in broken]
    else:
        found += _champion(client, served, entries, bool(carried_out))
        found += _moves(served, entries, copies, bool(carried_out))
    for version in copies:
        found += [*_version(client, version), *_copy(client, version)]
    for version in trained:
        found += [*_version(client, version), *_candidate(client, version, stale_after)]
    return found


def _champion(client: MlflowClient, name: str, entries: Sequence[Entry], carried_out: bool) -> Iterator[Finding]:
    champion, where = aliases_of(client, name).get(CHAMPION, ""), f"{name}@{CHAMPION}"
    if not entries:
        if champion:
            what = f"is version {champion}, but no entry of a ledger made it champion"
            yield Finding(ERROR, where, what, "find out who set it; the next `vaeline promote` replaces it")
        return
    last = entries[-1]
    if not carried_out:
        what = f"entry {last['number']} ({last['action']} to version {last['to']}) was not finished"
        yield Finding(WARNING, where, what, "the next `vaeline promote` or `vaeline rollback` finishes it")
    elif known_version(client, name, last["to"]) is None:
        what = f"version {last['to']}, the champion in the ledger, was deleted"
        yield Finding(ERROR, where, what, "`vaeline rollback --to VERSION --reason ...` to an earlier champion")
    elif champion != last["to"]:
        what = f"is {f'version {champion}' if champion else 'nowhere'}, but the ledger says version {last['to']}"
        remedy = f"`vaeline rollback --to {last['to']} --reason ...` puts it back, or name another earlier champion"
        yield Finding(ERROR, where, what, remedy)


def _aliases(client: MlflowClient, name: str) -> Iterator[Finding]:
    for alias, version in aliases_of(client, name).items():
        if known_version(client, name, version) is None:
            what = f"points at version {version}, which was deleted"
            yield Finding(ERROR, f"{name}@{alias}", what, "move or delete the alias")


def _moves(
    name: str, entries: Sequence[Entry], versions: Sequence[ModelVersion], carried_out: bool
) -> Iterator[Finding]:
    """Compare the tags of served versions with the tags that the ledger's entries give them."""
    expected: dict[str, dict[str, str]] = {}
    for entry in entries:
        for number, tags in tags_of(entry).items():
            expected.setdefault(number, {}).update(tags)
        expected[entry["to"]][DIGEST_TAG] = entry["to_digest"]
    present = {str(version.version): version for version in versions}
    if not carried_out and entries:
        for number in tags_of(entries[-1]):
            del expected[number]
            present.pop(number, None)
    for number, wanted in expected.items():
        if number not in present:
            what, remedy = "was deleted, but the ledger names it", "it cannot be restored, and no rollback can go to it"
            yield Finding(WARNING, version_uri(name, number), what, remedy)
            continue
        tags = present[number].tags
        marked = {key for key in tags if key.startswith(MOVE_TAGS) and key != SOURCE_TAG}
        for key in sorted(marked | set(wanted)):
            if tags.get(key) != wanted.get(key):
                yield _tampered(version_uri(name, number), key, tags.get(key), wanted.get(key), "the ledger")
    for number, version in present.items():
        for key in sorted(version.tags) if number not in expected else []:
            if key.startswith(MOVE_TAGS) and key != SOURCE_TAG:
                yield _tampered(uri_of(version), key, version.tags[key], None, "the ledger")


def _version(client: MlflowClient, version: ModelVersion) -> Iterator[Finding]:
    """Compare a version with its run and its files."""
    where = uri_of(version)
    run = known_run(client, version.run_id)
    if run is None:
        yield Finding(ERROR, where, "its run and its files were deleted", _replacement(version))
        return
    if run.info.lifecycle_stage == "deleted":
        what = "its run is in MLflow's trash, and `mlflow gc` would delete the model's files"
        yield Finding(ERROR, where, what, f"`mlflow runs restore --run-id {version.run_id}`")
    place = client.get_model_version_download_uri(version.name, str(version.version))
    if place.rstrip("/") != f"{str(run.info.artifact_uri).rstrip('/')}/{FOLDER}":
        what = f"MLflow serves it from {place}, but its run has it elsewhere"
        yield Finding(ERROR, where, what, _replacement(version))
    facts = {DIGEST_TAG: run.data.tags.get(DIGEST_TAG), KEY_TAG: run.data.tags.get(KEY_TAG)}
    facts |= {FILES_TAG: run.data.tags.get(FILES_TAG)}
    for key, value in (facts | {"seed": run.data.params.get("train.seed")}).items():
        if version.tags.get(key) != value:
            yield _tampered(where, key, version.tags.get(key), value, f"its run {version.run_id}")
    try:
        with stored_version(client, version).archive() as file:
            md5 = digest(file, "md5")
    except VaelineError as error:
        yield Finding(ERROR, where, str(error), "`vaeline registry restore` brings its files back from DVC's cache")
    else:
        if FILES_TAG not in version.tags:
            what = "an earlier vaeline registered it: its archive has a digest, but its code and environment have none"
            yield Finding(WARNING, where, what, f"`vaeline registry sign {where}` lets a signature cover them")
        if version.tags.get(MD5_TAG, md5) != md5:
            yield _tampered(where, MD5_TAG, version.tags[MD5_TAG], md5, "its file")


def _copy(client: MlflowClient, version: ModelVersion) -> Iterator[Finding]:
    """Compare a served version with its source candidate, if that still exists."""
    source = version.tags.get(SOURCE_TAG, version.source or "")
    parts = REGISTRY_URI.fullmatch(source)
    candidate = known_version(client, parts["name"], parts["version"]) if parts else None
    if candidate is None:
        return
    own = {SOURCE_TAG, *GATE_TAGS}
    for key in sorted({*version.tags, *candidate.tags} - own):
        if not key.startswith(MOVE_TAGS) and version.tags.get(key) != candidate.tags.get(key):
            yield _tampered(uri_of(version), key, version.tags.get(key), candidate.tags.get(key), source)


def _candidate(client: MlflowClient, version: ModelVersion, stale_after: timedelta) -> Iterator[Finding]:
    """Compare a candidate with its gate report, or report that it has none."""
    where = uri_of(version)
    if "vaeline.gate_verdict" not in version.tags:
        age = datetime.now(UTC) - datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
        if age > stale_after:
            what = f"was registered {age.days} days ago and never gated"
            yield Finding(WARNING, where, what, f"`vaeline gate {version.version}`, or `vaeline registry gc`")
        return
    again = f"`vaeline gate {version.version}` again"
    try:
        report = read_report(client, version)
    except VaelineError as error:
        yield Finding(ERROR, where, str(error), again)
        return
    if report["verdict"] != version.tags["vaeline.gate_verdict"]:
        verdicts = version.tags["vaeline.gate_verdict"], report["verdict"]
        yield _tampered(where, "vaeline.gate_verdict", *verdicts, "its gate report")


def _tampered(where: str, key: str, value: str | None, wanted: str | None, witness: str) -> Finding:
    found = "is missing" if value is None else f"is {value!r}"
    expected = "knows none" if wanted is None else f"says {wanted!r}"
    remedy = "find out who changed it, and correct it; until then, do not trust what reads this tag"
    return Finding(ERROR, where, f"the tag {key} {found}, but {witness} {expected}", remedy)


def _replacement(version: ModelVersion) -> str:
    if version.name.endswith("-candidates"):
        return "`dvc repro` with its parameters makes it again; `vaeline registry gc` removes the rest"
    return "if it is the champion, `vaeline rollback --reason ...`; a backup has its files"
