import pytest

from vaeline.errors import VaelineError
from vaeline.server.folder import (
    Address,
    Folder,
    new_password,
    read_address,
    read_or_make,
    read_password,
    write_address,
    write_credentials,
    write_private,
)

HERE = Address(5000, "http://127.0.0.1:5000", 40001)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "server")


def test_a_private_file_is_its_owners_alone_even_where_it_was_open_before(folder):
    file = folder.private / "pgpass"
    file.parent.mkdir(parents=True)
    file.touch(mode=0o644)
    write_private(file, "secret\n")
    assert (file.stat().st_mode & 0o777, file.read_text()) == (0o600, "secret\n")


def test_a_password_is_made_once_and_differs_from_others(folder):
    assert read_or_make(folder.private / "key") == read_or_make(folder.private / "key")
    assert len({new_password() for _ in range(100)}) == 100
    assert len(new_password()) >= 32


def test_a_users_file_holds_what_mlflow_asks_the_environment_for(folder):
    assert read_password(folder, "trainer") == ""
    write_credentials(folder, "trainer", "a=b", HERE)
    assert folder.credentials("trainer").read_text().splitlines() == [
        "MLFLOW_TRACKING_URI=http://127.0.0.1:5000",
        "MLFLOW_TRACKING_USERNAME=trainer",
        "MLFLOW_TRACKING_PASSWORD=a=b",
    ]
    assert read_password(folder, "trainer") == "a=b"


def test_a_new_address_is_told_to_every_user(folder):
    with pytest.raises(VaelineError, match="no server was started in"):
        read_address(folder)
    write_credentials(folder, "trainer", "secret", HERE)
    moved = Address(5001, "https://mlflow.example.org", 40002)
    write_address(folder, moved)
    assert read_address(folder) == moved
    assert "PGPORT=40002\n" in (folder.root / "database.env").read_text()
    assert moved.local == "http://127.0.0.1:5001"
    assert "MLFLOW_TRACKING_URI=https://mlflow.example.org\n" in folder.credentials("trainer").read_text()
    assert read_password(folder, "trainer") == "secret"
