"""A store in a SQLite file: its URI, and the places of artifacts in it, which follow a repository that was moved."""

import re
from pathlib import Path
from urllib.parse import quote, unquote

from mlflow import MlflowClient
from sqlalchemy import Connection, Engine, NullPool, create_engine, text

from vaeline.artifacts import atomic_file

SQLITE = "sqlite:///"
ARTIFACTS = "mlruns"
OF_A_REPOSITORY = re.compile(rf"(/.*/{ARTIFACTS})(?:/[^/]+)?")
MADE_BY_VAELINE = "vae-%"
PLACES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "model_versions": ("source", "storage_location"),
    "logged_models": ("artifact_location",),
}


def sqlite_uri(file: Path) -> str:
    """The URI of a SQLite file, whatever characters its absolute path has.

    SQLAlchemy ends the path at `?` and decodes `%`. MLflow makes the parent folder of the path as it stands in the URI;
    with its slashes encoded, that is the root folder, which is there.
    """
    path = str(file)
    return f"{SQLITE}/{quote(path[1:], safe='')}" if set(path) & set("%?") else f"{SQLITE}{path}"


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite URI; None for another store."""
    return Path(unquote(uri.removeprefix(SQLITE).partition("?")[0])) if uri.startswith(SQLITE) else None


def make_database(file: Path) -> None:
    """Make MLflow's database, unless it is there.

    A process that is killed leaves none. MLflow itself would leave a part of its tables, and could not use them.
    """
    if file.is_file() and file.stat().st_size:
        return
    with atomic_file(file) as temporary:
        temporary.touch()  # with the rights of the umask; SQLite would let only its owner write
        MlflowClient(sqlite_uri(temporary)).search_experiments(max_results=1)


def follow_repository(database: Path, root: Path) -> int:
    """Let the places of artifacts in the repository's own store follow the repository to its present folder `root`.

    MLflow stores absolute paths. Only those below the artifacts of the folder in which the store was made are changed,
    and only if the artifacts are here, or no longer there. Returns the number of places that were changed.
    """
    engine = create_engine(sqlite_uri(database), poolclass=NullPool)
    with engine.connect() as connection:
        wanted = text(f"SELECT DISTINCT artifact_location FROM experiments WHERE name LIKE '{MADE_BY_VAELINE}'")
        found = {location for (location,) in connection.execute(wanted) if location}
    old = {place for location in found if (place := _artifacts_in(location))}
    moved = [place for place in old - {root / ARTIFACTS} if (root / ARTIFACTS).is_dir() or not place.exists()]
    return sum(_replace(engine, place, root / ARTIFACTS) for place in moved)


def _artifacts_in(location: str) -> Path | None:
    """The folder of artifacts of the repository in which an experiment was made; None for a place of another kind."""
    path = unquote(location.removeprefix("file://")) if location.startswith("file://") else location
    found = OF_A_REPOSITORY.fullmatch(path)
    return Path(found[1]) if found else None


def _replace(engine: Engine, old: Path, new: Path) -> int:
    with engine.begin() as connection:
        known = {name for (name,) in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))}
        return sum(
            _replace_in(connection, table, column, before, after)
            for table, columns in PLACES.items()
            if table in known
            for column in columns
            for before, after in ((old.as_uri(), new.as_uri()), (str(old), str(new)))
        )


def _replace_in(connection: Connection, table: str, column: str, before: str, after: str) -> int:
    change = text(
        f"UPDATE {table} SET {column} = :after || substr({column}, length(:before) + 1) "
        f"WHERE {column} = :before OR substr({column}, 1, length(:before) + 1) = :before || '/'"
    )
    return connection.execute(change, {"before": before, "after": after}).rowcount
