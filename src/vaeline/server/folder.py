"""The folder of a server: its database, its artifacts and its private passwords."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from vaeline.artifacts import atomic_file, write_json
from vaeline.errors import VaelineError
from vaeline.tracking.store import state_directory

ADMIN = "admin"
PASSWORD = "MLFLOW_TRACKING_PASSWORD"
PASSWORD_BYTES = 24
LOOPBACK, DATABASE_OWNER = "127.0.0.1", "mlflow"


@dataclass(frozen=True)
class Folder:
    """The paths of one server, below `root`."""

    root: Path

    @property
    def cluster(self) -> Path:
        """PostgreSQL's files."""
        return self.root / "postgres"

    @property
    def artifacts(self) -> Path:
        """The artifacts that clients upload."""
        return self.root / "artifacts"

    @property
    def private(self) -> Path:
        """Passwords and keys, each in a file of mode 0600."""
        return self.root / "private"

    @property
    def passfile(self) -> Path:
        """The database's password in the format of libpq (PGPASSFILE)."""
        return self.private / "pgpass"

    def credentials(self, user: str) -> Path:
        """The file with the environment variables of a user: address, name and password."""
        return self.private / f"{user}.env"


@dataclass(frozen=True)
class Address:
    """The addresses of a running server: its port on this machine, its URL for others, and the port of its database."""

    port: int
    url: str
    database_port: int

    @property
    def local(self) -> str:
        """The URL on this machine."""
        return f"http://{LOOPBACK}:{self.port}"


def default_folder() -> Folder:
    """`.vaeline/server` at the repository's root."""
    return Folder(state_directory() / "server")


def write_address(folder: Folder, address: Address) -> None:
    """Store the address of the server. Update every user's file and the variables for PostgreSQL's programs."""
    write_json(folder.root / "address.json", asdict(address))
    database = {"PGHOST": LOOPBACK, "PGPORT": address.database_port, "PGUSER": DATABASE_OWNER}
    (folder.root / "database.env").write_text(as_lines(database | {"PGPASSFILE": folder.passfile}), encoding="utf-8")
    for file in folder.private.glob("*.env"):
        write_credentials(folder, file.stem, read_password(folder, file.stem), address)


def read_address(folder: Folder) -> Address:
    """The present or last address of the server of this folder. Raises VaelineError."""
    try:
        return Address(**json.loads((folder.root / "address.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise VaelineError(f"no server was started in {folder.root} yet; `vaeline server start` starts one") from None


def new_password() -> str:
    """A new random password of letters, digits, - and _."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def read_or_make(file: Path) -> str:
    """The only line of a private file. A missing file is written with a new password."""
    if not file.is_file():
        write_private(file, f"{new_password()}\n")
    return file.read_text(encoding="utf-8").strip()


def read_password(folder: Folder, user: str) -> str:
    """The password in a user's file; empty if there is none."""
    file = folder.credentials(user)
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return next((line.partition("=")[2] for line in lines if line.startswith(f"{PASSWORD}=")), "")


def write_credentials(folder: Folder, user: str, password: str, address: Address) -> None:
    """Write a user's file."""
    content = {"MLFLOW_TRACKING_URI": address.url, "MLFLOW_TRACKING_USERNAME": user, PASSWORD: password}
    write_private(folder.credentials(user), as_lines(content))


def as_lines(content: Mapping[str, object]) -> str:
    """`NAME=value` lines, the format of a shell, Docker and CI systems."""
    return "".join(f"{name}={value}\n" for name, value in content.items())


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read. It is never readable by others, not even at first."""
    with atomic_file(file) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_text(text, encoding="utf-8")
