"""A team's server from its first start on: its secrets, its users, many writers, and an end in mid-training."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psutil
import pytest
from conftest import ROOT
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from pipeline.server import NAME, TeamServer, acting_as, needs_postgres
from pipeline.shop import Shop
from pipeline.workspace import Workspace
from registry.vault import Vault
from screenshots import find_browser, open_page, show_runs
from typer.testing import CliRunner

from vaeline.artifacts import digest
from vaeline.cli import app
from vaeline.data.sources import MNIST_IMAGE
from vaeline.errors import VaelineError
from vaeline.models.vae import VAE
from vaeline.params.whole import read_params
from vaeline.registry.names import candidate_name, served_name
from vaeline.registry.stored import ARCHIVE, find_registered
from vaeline.server.accounts import API, RIGHTS, RIGHTS_API, add_user, admin_of, grant
from vaeline.server.folder import new_password, read_password
from vaeline.tracking.runs import DIGEST_TAG
from vaeline.tracking.store import experiment_id, experiment_name, open_store, run_pages, unreachable

pytestmark = needs_postgres
needs_browser = pytest.mark.skipif(find_browser() is None, reason="no Chromium: `make browser` installs one")

CANDIDATES, SERVED = candidate_name("digits"), served_name("digits")
TRAIN = ("env", "PYTHONPATH=src", "python", "pipeline/train.py")
REGISTER = ("env", "PYTHONPATH=src", "python", "pipeline/register.py")
WRITERS, EPOCHS = 8, 6
CROWD = "crowd"  # a data set of its own: what it registers are no models
WRITE = f"""
import multiprocessing, os, pathlib, sys
from vaeline.registry.names import candidate_name
from vaeline.tracking.runs import log_history, set_tags
from vaeline.tracking.store import experiment_id, open_store

def write(index):
    here = pathlib.Path(f"machine-{{index}}")  # a folder of its own, as on a machine of its own: no lock is shared
    here.mkdir()
    os.chdir(here)
    client = open_store()
    run = client.create_run(experiment_id(client, "{CROWD}"), run_name=f"writer-{{index}}").info
    for epoch in range(1, {EPOCHS} + 1):
        log_history(client, run.run_id, [{{"epoch": epoch, "loss": float(index), "val_loss": float(epoch)}}])
        set_tags(client, run.run_id, {{f"epoch-{{epoch}}": str(index)}})
    client.log_text(run.run_id, str(index), "model/archive")
    client.create_model_version(candidate_name("{CROWD}"), f"{{run.artifact_uri}}/model", run.run_id)
    client.set_terminated(run.run_id)

with multiprocessing.get_context("fork").Pool({WRITERS}) as pool:
    pool.map(write, range({WRITERS}), chunksize=1)
"""


@pytest.fixture
def clone(branch_off: Workspace) -> Workspace:
    """A clone with a finished model, whose own store is gone."""
    (branch_off.root / "mlflow.db").unlink()
    return branch_off


def refusal(server: TeamServer, user: str) -> str:
    """The error's code when a user writes to the experiment; empty where all is well."""
    client = MlflowClient(server.url)
    with acting_as(server, user):
        try:
            client.create_run(experiment_id(client, "digits"))
        except MlflowException as error:
            return error.error_code
    return ""


def said(server: TeamServer, user: str, *command: str, status: int = 0) -> str:
    """What `vaeline ...` says to a user, in the working directory."""
    with acting_as(server, user):
        result = CliRunner().invoke(app, command)
    assert result.exit_code == status, result.output
    return result.output


def test_of_two_first_starts_at_once_one_serves_and_the_other_says_so(team_server):
    (loser,) = [start for start in team_server.starts[:2] if not start.is_ready()]
    assert loser.process.wait(60) == 1
    (said,) = loser.log.read_text().splitlines()
    assert said == f"vaeline: a server already runs or starts in {team_server.folder.root}; stop it first"


def test_no_secret_can_be_read_by_others(team_server):
    folder = team_server.folder
    secrets = {read_password(folder, user) for user in ("admin", *RIGHTS)}
    secrets |= {(folder.private / name).read_text().strip().rpartition(":")[2] for name in ("pgpass", "flask_secret")}
    assert len(secrets - {""}) == 6
    assert {file.stat().st_mode & 0o777 for file in folder.private.iterdir()} == {0o600}
    assert {inner.stat().st_mode & 0o777 for inner in (folder.private, folder.artifacts, folder.cluster)} == {0o700}
    shown = [" ".join(process.cmdline()) for process in team_server.serving.family()]
    shown += [file.read_text() for file in (team_server.serving.log, *folder.root.iterdir()) if file.is_file()]
    assert not [secret for secret in secrets for text in shown if secret in text]


def test_the_first_start_tells_users_how_to_reach_it_through_the_proxy(team_server):
    for user in RIGHTS:
        address, name, _ = team_server.folder.credentials(user).read_text().splitlines()
        assert address == f"MLFLOW_TRACKING_URI=https://{NAME}"
        assert name == f"MLFLOW_TRACKING_USERNAME={user}"


def test_nothing_but_loopback_is_listened_on(team_server):
    sockets = [item for process in team_server.serving.family() for item in process.net_connections("inet")]
    listening = {item.laddr for item in sockets if item.status == psutil.CONN_LISTEN}
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert len(listening) == 2


def test_a_user_has_the_roles_that_were_named_last(team_server):
    assert "alice: trainer; address and password" in team_server.command("user", "alice", "trainer")
    assert refusal(team_server, "alice") == ""
    password = read_password(team_server.folder, "alice")
    admin = admin_of(team_server.folder)
    for roles in (["viewer", "promoter"], []):
        add_user(admin, team_server.folder, "alice", roles)
        assert refusal(team_server, "alice") == "PERMISSION_DENIED"
    add_user(admin, team_server.folder, "alice", ["trainer"])
    assert refusal(team_server, "alice") == ""
    assert read_password(team_server.folder, "alice") == password
    for name, role in (("../alice", "viewer"), ("admin", "viewer"), ("alice", "owner")):
        with pytest.raises(VaelineError, match=r"user's name|no role"):
            add_user(admin, team_server.folder, name, [role])


def test_what_was_changed_by_hand_is_put_right(team_server):
    admin = admin_of(team_server.folder)
    roles = {role["name"]: role for role in admin.get(f"{RIGHTS_API}/roles/list", workspace="default")["roles"]}
    rights = sorted(roles["viewer"]["permissions"], key=lambda right: right["resource_type"])
    admin.do("PATCH", f"{RIGHTS_API}/roles/permissions/update", role_permission_id=rights[0]["id"], permission="MANAGE")
    admin.do("DELETE", f"{RIGHTS_API}/roles/permissions/remove", role_permission_id=rights[1]["id"])
    more = {"resource_type": "workspace", "resource_pattern": "*", "permission": "USE"}
    admin.do("POST", f"{RIGHTS_API}/roles/permissions/add", role_id=roles["viewer"]["id"], **more)
    admin.do("PATCH", f"{API}/users/update-password", username="viewer", password=new_password())

    grant(admin, ["digits"])
    add_user(admin, team_server.folder, "viewer", ["viewer"])
    mended = {role["name"]: role for role in admin.get(f"{RIGHTS_API}/roles/list", workspace="default")["roles"]}

    def plain(found):
        return sorted((right["resource_type"], right["resource_pattern"], right["permission"]) for right in found)

    assert plain(mended["viewer"]["permissions"]) == plain(rights)
    assert refusal(team_server, "viewer") == "PERMISSION_DENIED"


def test_a_data_set_is_the_administrators_to_open(team_server):
    client = MlflowClient(team_server.url)
    with acting_as(team_server, "trainer"), pytest.raises(MlflowException) as refused:
        experiment_id(client, "letters")
    with acting_as(team_server, "trainer"):
        assert str(unreachable(refused.value)).startswith("trainer may not do this in the tracking store http://")
    assert "rights on letters" in team_server.command("grant", "letters")
    with acting_as(team_server, "trainer"):
        assert client.create_run(experiment_id(client, "letters"))
        assert client.get_registered_model(candidate_name("letters"))
    assert refusal(team_server, "trainer") == "", "the digits were closed by it"


def test_a_wrong_password_is_called_that(team_server, monkeypatch):
    with acting_as(team_server, "trainer"):
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
        with pytest.raises(MlflowException) as refused:
            experiment_id(MlflowClient(team_server.url), "digits")
        assert "it refuses trainer with this password" in str(unreachable(refused.value))


def test_eight_writers_at_once_lose_nothing(team_server, tmp_path):
    team_server.command("grant", CROWD)
    patient = {"PYTHONPATH": f"{ROOT}/src", "MLFLOW_HTTP_REQUEST_TIMEOUT": "120"}
    environment = team_server.workspace.environment(**team_server.environment("trainer"), **patient)
    subprocess.run([sys.executable, "-c", WRITE], cwd=tmp_path, env=environment, check=True)
    client = MlflowClient(team_server.url)
    with acting_as(team_server, "viewer"):
        experiment = client.get_experiment_by_name(experiment_name(CROWD)).experiment_id
        runs = {run.info.run_name: run for run in client.search_runs([experiment])}
        assert set(runs) == {f"writer-{index}" for index in range(WRITERS)}
        for index in range(WRITERS):
            run = runs[f"writer-{index}"]
            assert run.info.status == "FINISHED"
            history = client.get_metric_history(run.info.run_id, "train/loss")
            assert [(item.step, item.value) for item in history] == [(epoch, index) for epoch in range(1, EPOCHS + 1)]
            assert {run.data.tags[f"epoch-{epoch}"] for epoch in range(1, EPOCHS + 1)} == {str(index)}
            assert client.list_artifacts(run.info.run_id, "model")[0].file_size == 1
        versions = client.search_model_versions(f"name = '{candidate_name(CROWD)}'")
        assert {int(item.version) for item in versions} == set(range(1, WRITERS + 1))
        assert {item.run_id for item in versions} == {run.info.run_id for run in runs.values()}


def test_a_model_goes_from_a_trainer_to_a_promoter_to_any_reader(team_server, clone, monkeypatch):
    monkeypatch.chdir(clone.root)
    clone.run(*REGISTER, **team_server.environment("trainer"))
    with acting_as(team_server, "trainer"):
        vault = Vault(clone.root, open_store())
        (candidate,) = vault.versions(CANDIDATES)
        run = vault.client.get_run(vault.candidate(candidate).run_id)
        assert run.data.tags["vaeline.restored"] == "true"
        assert "test/nll" in run.data.metrics
        params = read_params()
        other = Shop(clone.root, vault.client, run).register(VAE(params.model, MNIST_IMAGE), "other", params)

    refused = f"vaeline: trainer may not do this in the tracking store {team_server.url}; its administrator gives"
    clone.change(gate__worst=200.0, gate__floors__auroc=0.0, gate__budget__milliseconds=60_000.0)
    verdict = clone.run("vaeline", "gate", candidate, **team_server.environment("trainer"))
    assert "pass: vae-digits-candidates v1 with no champion" in verdict
    assert refused in said(team_server, "trainer", "promote", candidate, status=1)
    assert "version 1 of vae-digits is champion" in said(team_server, "promoter", "promote", candidate)
    with acting_as(team_server, "trainer"):
        vault.gate(other)
    said(team_server, "promoter", "promote", other)
    with monkeypatch.context() as patch:
        patch.setattr("vaeline.registry.rollback.try_stored", lambda stored: None)
        assert refused in said(team_server, "trainer", "rollback", "--reason", "mine was better", status=1)
    assert "version 1 of vae-digits is champion again" in said(team_server, "promoter", "rollback", "--reason", "ugly")
    moves = [line.split("│")[3:7] for line in said(team_server, "viewer", "history").splitlines() if "promoter" in line]
    assert [[word.strip() for word in move] for move in moves] == [
        ["promoter", "promote", "", "1"],
        ["promoter", "promote", "1", "2"],
        ["promoter", "rollback", "2", "1"],
    ]
    assert said(team_server, "promoter", "registry", "check").endswith(": 0 errors, 0 warnings\n")
    with acting_as(team_server, "viewer"):
        stored = find_registered(f"models:/{SERVED}@champion")
        with stored.artifact(ARCHIVE) as file:
            assert digest(file) == stored.model_sha256 == clone.json("reports/registration.json")["model_sha256"]


@needs_browser
def test_a_viewer_sees_the_runs_in_a_browser(team_server):
    client = MlflowClient(team_server.url)
    with acting_as(team_server, "trainer"):
        client.create_run(experiment_id(client, "digits"), run_name="seen-by-the-viewer")
    with acting_as(team_server, "viewer"):
        address = run_pages(client, team_server.url)[experiment_name("digits")]
    viewer = {"username": "viewer", "password": read_password(team_server.folder, "viewer")}
    with open_page(find_browser(), credentials=viewer) as (page, problems):
        show_runs(page, address, ["seen-by-the-viewer"])
        assert problems == []


def test_a_server_that_is_shot_in_mid_training_and_started_again_loses_nothing(team_server, clone, monkeypatch):
    trainer = team_server.environment("trainer")
    clone.change(train__epochs=EPOCHS, train__patience=EPOCHS, train__batch_size=4)
    training = replace(clone, forked=False).start(*TRAIN, **trainer, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    read_until(training, "epoch 2/")
    with held(training):
        assert team_server.serving.end(signal.SIGKILL) == -signal.SIGKILL
    read_until(training, "The training is not affected")
    with held(training):
        team_server.begin(team_server.serving.port).wait_until_ready()
    output, _ = training.communicate()
    assert training.returncode == 0, output
    client = MlflowClient(team_server.url)

    def run_and_epochs(metric: str) -> tuple[Run, list[int]]:
        with acting_as(team_server, "viewer"):
            experiment = client.get_experiment_by_name(experiment_name("digits")).experiment_id
            (run,) = client.search_runs([experiment], f"params.`train.epochs` = '{EPOCHS}'")
            return run, [item.step for item in client.get_metric_history(run.info.run_id, metric)]

    before, known = run_and_epochs("train/loss")
    assert known[0] == 1, "what had been written is gone"
    assert len(known) < EPOCHS, "the training was to miss the server"
    monkeypatch.chdir(clone.root)
    said(team_server, "trainer", "track", "sync")
    for metric in ("train/loss", "validation/loss", "validation/kl"):
        run, epochs = run_and_epochs(metric)
        assert sorted(epochs) == list(range(1, EPOCHS + 1))
    assert run.info.run_id == before.info.run_id
    assert run.info.status == "FINISHED"
    assert run.data.tags[DIGEST_TAG] == digest(clone.root / "models/vae.keras")


@contextmanager
def held(process: subprocess.Popen) -> Iterator[None]:
    """A process stands still while the block runs."""
    process.send_signal(signal.SIGSTOP)
    yield
    process.send_signal(signal.SIGCONT)


def read_until(process: subprocess.Popen, words: str) -> None:
    """Read the output of a process up to a line with these words."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return
    raise AssertionError("".join(lines))
