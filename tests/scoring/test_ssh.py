"""An SSH server on loopback: DVC pushes to it and pulls from it, batches are read from it, and scores go both ways."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.asyn import get_loop, sync

from vaeline.dvc_repro import push
from vaeline.errors import VaelineError
from vaeline.ingestion.arrivals import arrivals, at_hand
from vaeline.scoring.inputs import find_inputs
from vaeline.scoring.outputs import Outputs
from vaeline.scoring.score import Rules, Scorer

dvc_ssh = pytest.importorskip("dvc_ssh.spec", reason="dvc-ssh is not installed; `make setup SCALE=1` installs it")
sshfs = pytest.importorskip("sshfs")
asyncssh = pytest.importorskip("asyncssh")

pytestmark = [
    pytest.mark.usefixtures("processes"),
    pytest.mark.skipif(not shutil.which("ssh"), reason="OpenSSH, which checks the key of the host, is not installed"),
]

CONFIG = """
Host store
  HostName 127.0.0.1
  Port {port}
  User me
  IdentityFile {home}/.ssh/id_ed25519
  UserKnownHostsFile {home}/.ssh/known_hosts
  ProxyCommand ssh -F {home}/.ssh/config -o ProxyCommand=none -o BatchMode=yes -W localhost:%p store
"""
STAGES = """
stages:
  count:
    cmd: echo 50 >count.json && echo ran >>../runs
    deps: [digits.npy]
    metrics: [{count.json: {cache: false}}]
"""


class Server(asyncssh.SSHServer):
    def connection_requested(self, *addresses):
        """Let `ssh -W` connect."""
        return True


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with the settings of docs/scale.md. Its folder `store` is what `ssh://store/` shows."""
    for folder in (".ssh", "store"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    ours, theirs = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    (tmp_path / ".ssh/id_ed25519").touch(mode=0o600)
    ours.write_private_key(tmp_path / ".ssh/id_ed25519")
    server = sync(
        get_loop(),
        asyncssh.listen,
        "127.0.0.1",
        0,
        server_factory=Server,
        server_host_keys=[theirs],
        authorized_client_keys=asyncssh.import_authorized_keys(ours.export_public_key().decode()),
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=os.fsencode(tmp_path / "store")),
    )
    (tmp_path / ".ssh/config").write_text(CONFIG.format(home=tmp_path, port=server.get_port()))
    trust(tmp_path, theirs)
    yield tmp_path
    for kind in (sshfs.SSHFileSystem, dvc_ssh.SSHFileSystem):
        kind.clear_instance_cache()
    get_loop().call_soon_threadsafe(server.close)


def trust(home, key):
    """Make `key` the known key of the server."""
    port = re.search(r"Port (\d+)", (home / ".ssh/config").read_text())[1]
    (home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{port} {key.export_public_key().decode()}")


def git(arguments):
    subprocess.run(["git", *arguments.split()], check=True)


def dvc(arguments):
    subprocess.run([sys.executable, "-m", "dvc", *arguments.split()], check=True)


@pytest.fixture
def repository(home, monkeypatch):
    """A repository with the remote `store`, and a stage that counts its runs in the folder above."""
    (home / "first").mkdir()
    monkeypatch.chdir(home / "first")
    git("init --quiet")
    dvc("init --quiet")
    dvc("remote add --quiet --default store ssh://store/shared")
    return home / "first"


@pytest.fixture
def images(digits, tmp_path):
    np.save(tmp_path / "digits.npy", digits.images[:50])
    return tmp_path / "digits.npy"


def test_a_second_clone_gets_the_files_and_the_results_that_the_first_one_pushed(home, repository, images, monkeypatch):
    shutil.copy(images, "digits.npy")
    Path("dvc.yaml").write_text(STAGES)
    dvc("add digits.npy")
    dvc("repro")
    git("add .dvc dvc.yaml digits.npy.dvc")
    git("-c user.name=me -c user.email=me@localhost commit --quiet -m first")
    push()
    git(f"clone --quiet {repository} {home / 'second'}")
    monkeypatch.chdir(home / "second")
    dvc("repro --pull")
    assert Path("digits.npy").read_bytes() == images.read_bytes()
    assert Path("count.json").read_text() == "50\n"
    assert (home / "runs").read_text() == "ran\n"


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("place", ["ssh://store/shared", "remote://store"])
def test_batches_arrive_from_another_machine(home, images, place):
    (home / "store/shared/incoming/monday").mkdir(parents=True)
    shutil.copy(images, home / "store/shared/incoming/monday")
    (arrival,) = arrivals(f"{place}/incoming")
    assert (arrival.name, arrival.origin) == ("monday", f"{place}/incoming/monday")
    with at_hand(arrival, home / "scratch") as batch:
        assert (batch / "digits.npy").read_bytes() == images.read_bytes()


@pytest.mark.usefixtures("training", "repository")
@pytest.mark.parametrize("place", ["ssh://store/shared", "remote://store"])
def test_scores_go_from_another_machine_to_it(home, images, small_model, place):
    (home / "store/shared/scans").mkdir(parents=True)
    shutil.copy(images, home / "store/shared/scans")
    scorer = Scorer(small_model, Rules({}, "neg_elbo", 200.0, 1, invert=False, latents=True))
    inputs, outputs = find_inputs(f"{place}/scans"), Outputs(f"{place}/scores")
    outputs.begin({"model": "small"})
    for piece in (0, 1, 2, 1):
        outputs.write_piece(piece, scorer.table(inputs, 20 * piece, min(50, 20 * piece + 20)))
    assert outputs.missing(3) == []
    outputs.begin({"model": "small"})
    assert outputs.count(3)["written"] == 50
    found = pq.read_table(home / "store/shared/scores")
    here = scorer.table(find_inputs(str(images)), 0, 50)
    assert found["row"].to_pylist() == list(range(50))
    np.testing.assert_allclose(found["neg_elbo"], here["neg_elbo"], rtol=1e-4)


def test_a_piece_that_was_not_written_to_its_end_is_missing(home, monkeypatch):
    outputs = Outputs("ssh://store/scores")
    outputs.begin({"model": "small"})

    def write_a_part(server, file, offset, data):
        file.write(data[:100])
        raise OSError("the disk is full")

    monkeypatch.setattr(asyncssh.SFTPServer, "write", write_a_part)
    with pytest.raises(asyncssh.SFTPError):
        outputs.write_piece(0, pa.table({"row": range(1000)}))
    assert any(file.stat().st_size for file in (home / "store/scores").iterdir())
    assert outputs.missing(1) == [0]


def test_a_host_with_another_key_gets_nothing(home, repository, images):
    trust(home, asyncssh.generate_private_key("ssh-ed25519"))
    shutil.copy(images, "digits.npy")
    dvc("add --quiet digits.npy")
    with pytest.raises(VaelineError):
        push()
    for use in (arrivals, find_inputs, lambda place: Outputs(place).begin({})):
        with pytest.raises(VaelineError, match=r"^ssh://store/shared: .*Connection lost"):
            use("ssh://store/shared")
    assert list((home / "store").iterdir()) == []
