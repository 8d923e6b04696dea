"""What each user of a team's server may do and what is refused: every user, every action."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import requests
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from pipeline.server import NAME, TeamServer, acting_as, needs_postgres

from vaeline.registry.candidates import copy_version
from vaeline.registry.ledger import append, ledger_name, mark_done, read_ledger
from vaeline.registry.names import candidate_name, served_name
from vaeline.server.accounts import add_user, admin_of, grant
from vaeline.server.folder import read_password
from vaeline.tracking.runs import set_tags
from vaeline.tracking.store import experiment_name

pytestmark = needs_postgres

DATASET = "kmnist"  # the server's second: on the first, models are promoted in earnest
EXPERIMENT, CANDIDATES, SERVED = experiment_name(DATASET), candidate_name(DATASET), served_name(DATASET)
USERS = ["admin", "trainer", "promoter", "viewer", "stranger", "nobody"]
MOVE = dict.fromkeys(("action", "from", "to", "from_digest", "to_digest", "reason", "gate_sha256"), "")
EVERYBODY, TRAINER, PROMOTER, ADMIN_ALONE = {"trainer", "promoter", "viewer"}, {"trainer"}, {"promoter"}, set()
DONE, WRONG, UNKNOWN, REFUSED = 200, 400, 401, 403


class Shelf(NamedTuple):
    """What the actions are about."""

    experiment: str
    run: str
    source: str
    candidate: ModelVersion


class Case(NamedTuple):
    """Who besides the administrator may do something, what it is, and what the administrator makes for it before."""

    allowed: set[str]
    act: Callable[[MlflowClient, Shelf, Any], Any]
    prepare: Callable[[MlflowClient, Shelf], Any] = lambda client, shelf: None


def new_run(client: MlflowClient, shelf: Shelf) -> str:
    return client.create_run(shelf.experiment).info.run_id


def new_version(name: str) -> Callable[[MlflowClient, Shelf], ModelVersion]:
    return lambda client, shelf: client.create_model_version(name, shelf.source, shelf.run)


def unused(client: MlflowClient, shelf: Shelf) -> str:
    return f"another-{new_run(client, shelf)}"


MATRIX = {
    "read the experiment": Case(EVERYBODY, lambda c, s, _: c.get_experiment(s.experiment)),
    "read a run": Case(EVERYBODY, lambda c, s, _: c.get_run(s.run)),
    "read an artifact": Case(EVERYBODY, lambda c, s, _: c.download_artifacts(s.run, "model/archive")),
    "read a candidate": Case(EVERYBODY, lambda c, s, _: c.get_model_version(CANDIDATES, s.candidate.version)),
    "read the champion": Case(EVERYBODY, lambda c, s, _: c.get_model_version_by_alias(SERVED, "champion")),
    "start a run": Case(TRAINER, lambda c, s, _: c.create_run(s.experiment)),
    "log a metric": Case(TRAINER, lambda c, s, _: c.log_metric(s.run, "loss", 1.0)),
    "tag a run": Case(TRAINER, lambda c, s, _: set_tags(c, s.run, {"a": "1"})),
    "take a run's tag": Case(TRAINER, lambda c, s, _: c.delete_tag(s.run, "b"), lambda c, s: c.set_tag(s.run, "b", 1)),
    "write an artifact": Case(TRAINER, lambda c, s, _: c.log_text(s.run, "{}", "gate/gate.json")),
    "end a run": Case(TRAINER, lambda c, s, run: c.set_terminated(run), new_run),
    "delete a run": Case(ADMIN_ALONE, lambda c, s, run: c.delete_run(run), new_run),
    "make an experiment": Case(ADMIN_ALONE, lambda c, s, name: c.create_experiment(name), unused),
    "delete an experiment": Case(
        ADMIN_ALONE, lambda c, s, made: c.delete_experiment(made), lambda c, s: c.create_experiment(unused(c, s))
    ),
    "make a model": Case(ADMIN_ALONE, lambda c, s, name: c.create_registered_model(name), unused),
    "register a candidate": Case(TRAINER, lambda c, s, _: c.create_model_version(CANDIDATES, s.source, s.run)),
    "tag a candidate": Case(TRAINER, lambda c, s, _: c.set_model_version_tag(CANDIDATES, "1", "a", "1")),
    "tag the candidates": Case(TRAINER, lambda c, s, _: c.set_registered_model_tag(CANDIDATES, "a", "1")),
    "name a candidate": Case(
        TRAINER, lambda c, s, _: c.set_registered_model_alias(CANDIDATES, "best", s.candidate.version)
    ),
    "delete a candidate": Case(
        ADMIN_ALONE, lambda c, s, made: c.delete_model_version(CANDIDATES, made.version), new_version(CANDIDATES)
    ),
    "copy to the served": Case(PROMOTER, lambda c, s, _: copy_version(c, s.candidate, SERVED)),
    "copy as MLflow does": Case(ADMIN_ALONE, lambda c, s, _: c.copy_model_version(f"models:/{CANDIDATES}/1", SERVED)),
    "serve a run at once": Case(PROMOTER, lambda c, s, _: c.create_model_version(SERVED, s.source, s.run)),
    "move @champion": Case(PROMOTER, lambda c, s, _: c.set_registered_model_alias(SERVED, "champion", "1")),
    "take @champion away": Case(
        ADMIN_ALONE,
        lambda c, s, _: c.delete_registered_model_alias(SERVED, "old"),
        lambda c, s: c.set_registered_model_alias(SERVED, "old", "1"),
    ),
    "tag a served version": Case(PROMOTER, lambda c, s, _: c.set_model_version_tag(SERVED, "1", "promoted_by", "us")),
    "take a served version's tag": Case(
        ADMIN_ALONE,
        lambda c, s, _: c.delete_model_version_tag(SERVED, "1", "b"),
        lambda c, s: c.set_model_version_tag(SERVED, "1", "b", "1"),
    ),
    "read the ledger": Case(EVERYBODY, lambda c, s, _: read_ledger(c, SERVED)),
    "write the ledger": Case(PROMOTER, lambda c, s, _: append(c, SERVED, read_ledger(c, SERVED), MOVE)),
    "note a move as done": Case(PROMOTER, lambda c, s, _: mark_done(c, SERVED, {"number": 1})),
    "delete the ledger's run": Case(
        ADMIN_ALONE,
        lambda c, s, run: c.delete_run(run),
        lambda c, s: c.create_run(c.get_experiment_by_name(ledger_name(SERVED)).experiment_id).info.run_id,
    ),
    "tag the served model": Case(PROMOTER, lambda c, s, _: c.set_registered_model_tag(SERVED, "ledger", "1")),
    "delete a served version": Case(
        ADMIN_ALONE, lambda c, s, made: c.delete_model_version(SERVED, made.version), new_version(SERVED)
    ),
}


@pytest.fixture(scope="module")
def shelf(team_server: TeamServer) -> Shelf:
    """One of everything, made by those whose work it is; and a user without a role."""
    admin = admin_of(team_server.folder)
    grant(admin, [DATASET])
    add_user(admin, team_server.folder, "stranger", [])
    client = MlflowClient(team_server.url)
    with acting_as(team_server, "trainer"):
        experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
        run = client.create_run(experiment).info
        client.log_text(run.run_id, "weights", "model/archive")
        source = f"{run.artifact_uri}/model"
        candidate = client.create_model_version(CANDIDATES, source, run.run_id, tags={"digest": "1"})
    with acting_as(team_server, "promoter"):
        copied = copy_version(client, candidate, SERVED)
        client.set_registered_model_alias(SERVED, "champion", copied.version)
    assert (copied.version, copied.tags, copied.run_id) == ("1", {"digest": "1"}, run.run_id)
    return Shelf(experiment, run.run_id, source, candidate)


def login(server: TeamServer, user: str) -> tuple[str, str]:
    """A user's name and password."""
    return user, read_password(server.folder, user)


def answer(act: Callable[[], Any]) -> int:
    """The status that the server answered an action with."""
    try:
        act()
    except MlflowException as error:
        cause = error.__cause__ if isinstance(error.__cause__, MlflowException) else error
        return cause.get_http_status_code()
    except requests.HTTPError as error:
        return error.response.status_code
    return DONE


@pytest.mark.parametrize("action", MATRIX)
@pytest.mark.parametrize("user", USERS)
def test_rights(team_server, shelf, user, action):
    client, case = MlflowClient(team_server.url), MATRIX[action]
    with acting_as(team_server, "admin"):
        made = case.prepare(client, shelf)
    with acting_as(team_server, user):
        status = answer(lambda: case.act(client, shelf, made))
    allowed = user in {"admin", *case.allowed}
    assert status == (DONE if allowed else UNKNOWN if user == "nobody" else REFUSED)


@pytest.mark.parametrize(("user", "status"), [("admin", WRONG), ("trainer", REFUSED), ("nobody", UNKNOWN)])
def test_no_experiment_is_made_elsewhere_on_the_servers_disk(team_server, user, status):
    with acting_as(team_server, user):
        assert answer(lambda: MlflowClient(team_server.url).create_experiment("etc", "file:///etc/vaeline")) == status


def test_no_source_of_a_version_leads_out_of_its_run(team_server, shelf):
    client = MlflowClient(team_server.url)
    for source in ("file:///etc/passwd", "/etc", "mlflow-artifacts:/../../private", f"{shelf.source}/../../../.."):
        with acting_as(team_server, "trainer"), pytest.raises(MlflowException, match="Invalid model version source"):
            client.create_model_version(CANDIDATES, source, shelf.run)


@pytest.mark.parametrize("path", ["../../private/admin.env", "..%2F..%2Fprivate%2Fadmin.env", "%2Fetc%2Fpasswd"])
def test_no_artifact_lies_outside_of_the_artifacts(team_server, path):
    request = requests.Request("GET", team_server.url, auth=login(team_server, "trainer")).prepare()
    request.url = f"{team_server.url}/api/2.0/mlflow-artifacts/artifacts/{path}"  # as it is: a client would tidy it up
    assert requests.Session().send(request).status_code in {WRONG, REFUSED}


def test_only_the_servers_own_names_and_pages_are_answered(team_server):
    page, user = f"{team_server.url}/ajax-api/2.0/mlflow/experiments/search", login(team_server, "trainer")
    here = f"localhost:{team_server.serving.port}"
    for host, status in {here: DONE, NAME: DONE, "evil.example.org": REFUSED}.items():
        assert requests.get(page, {"max_results": 1}, headers={"Host": host}, auth=user).status_code == status
    for origin, status in {f"https://{NAME}": DONE, "https://evil.example.org": REFUSED}.items():
        asked = requests.post(page, json={"max_results": 1}, headers={"Origin": origin, "Host": NAME}, auth=user)
        assert asked.status_code == status
        assert asked.headers.get("X-Frame-Options") == ("DENY" if status == DONE else None)


def test_only_a_sign_of_life_is_open_to_everybody(team_server):
    assert requests.get(f"{team_server.url}/health").status_code == DONE
    for page in ("", "/version", "/graphql", "/metrics", "/ajax-api/2.0/mlflow/runs/search", "/docs"):
        assert requests.get(f"{team_server.url}{page}").status_code in {UNKNOWN, 404, 405}, page
