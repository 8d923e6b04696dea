import dataclasses
import shutil

import pytest
from mlflow import MlflowClient
from stores import empty_store

from vaeline.artifacts import digest
from vaeline.errors import VaelineError
from vaeline.latents.reference import read_reference, write_reference
from vaeline.registry.resolve import resolve_model
from vaeline.registry.stored import REFERENCE
from vaeline.registry.versions import ARCHIVE
from vaeline.tracking.runs import DIGEST_TAG

NAME = "vae-digits-candidates"


@pytest.fixture(scope="module")
def workplace(desk, tmp_path_factory):
    """A copy of the desk with a store: one trained and registered run, one without a model, one without a file."""
    folder = tmp_path_factory.mktemp("workplace")
    for part in ("models", "reports"):
        shutil.copytree(desk / part, folder / part)
    shutil.copy(empty_store(), folder)
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.create_experiment("vae-digits", (folder / "mlruns").as_uri())
    sha256 = digest(folder / "models/vae.keras")

    def run(name, tag=sha256, archive=True, reference=True):
        run_id = client.create_run(experiment, run_name=name, tags={DIGEST_TAG: tag} if tag else {}).info.run_id
        for wanted, source, target in (
            (archive, folder / "models/vae.keras", ARCHIVE),
            (reference, folder / "reports/latent_reference.json", REFERENCE),
        ):
            if wanted:
                client.log_artifact(run_id, str(source), target.rpartition("/")[0])
        return run_id

    trained = run("mlp-4d-abc")
    run("no-file", archive=False)
    run("no-reference", reference=False)
    run("changed", tag="0" * 64)
    run("killed", tag="", archive=False)
    run("twice")
    run("twice", tag="1" * 64)
    client.create_registered_model(NAME)
    client.create_model_version(NAME, f"{folder}/mlruns", run_id=trained, tags={DIGEST_TAG: sha256})
    client.create_model_version(NAME, f"{folder}/mlruns", run_id=trained)
    client.set_registered_model_alias(NAME, "best", "1")
    (folder / "trained.txt").write_text(trained)
    return folder


@pytest.fixture(autouse=True)
def _at_work(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workplace}/mlflow.db")
    monkeypatch.delenv("DVC_ROOT", raising=False)


@pytest.mark.parametrize("name", ["models/vae.keras", "mlp-4d-abc", "id", f"models:/{NAME}/1", f"models:/{NAME}@best"])
def test_one_model_is_found_by_all_its_names(workplace, name):
    name = (workplace / "trained.txt").read_text() if name == "id" else name
    found = resolve_model(name)
    assert found.model.latent_dim == 4
    assert found.model_sha256 == digest(workplace / "models/vae.keras")
    assert found.read_reference().model_sha256 == found.model_sha256


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("models/other.keras", "models/other.keras: no such model; train one with `dvc repro`"),
        ("reports/latent_reference.json", "not a vaeline model archive"),
        ("no-such-run", "no model file, run or registered model is called 'no-such-run'"),
        ("it's", "no model file, run or registered model is called"),
        ("0" * 32, "no model file, run or registered model is called '000"),
        ("killed", "the run killed has no model: it is RUNNING"),
        ("no-file", "the run no-file has no file model/artifacts/vae.keras in the store"),
        ("changed", r"^model/artifacts/vae\.keras of the run changed: SHA-256 is [0-9a-f]*, expected 0000"),
        ("twice", "2 runs with different models are called twice; use an id: "),
        (f"models:/{NAME}/9", f"no such registered version; the versions are: models:/{NAME}/"),
        (f"models:/{NAME}@worst", "no such registered version"),
        ("models:/nothing/1", "no such registered version"),
        (f"models:/{NAME}/2", "vaeline did not register it"),
        (f"models:/{NAME}", "name a registered version as models:/name/version or models:/name@alias"),
        ("models:/", "name a registered version as models:/name/version"),
    ],
)
def test_what_cannot_be_found_is_one_sentence(name, sentence):
    with pytest.raises(VaelineError, match=sentence) as error:
        resolve_model(name)
    assert "\n" not in str(error.value)


def test_a_run_that_was_deleted_is_not_found(workplace):
    client = MlflowClient(f"sqlite:///{workplace}/mlflow.db")
    run_id = client.create_run(client.get_experiment_by_name("vae-digits").experiment_id).info.run_id
    client.delete_run(run_id)
    with pytest.raises(VaelineError, match="no model file, run"):
        resolve_model(run_id)


def test_a_run_without_a_reference_says_how_to_get_one():
    found = resolve_model("no-reference")
    with pytest.raises(
        VaelineError, match=r"no-reference has no evaluation/latent_reference\.json; run `dvc repro eval"
    ):
        found.read_reference()


def test_the_reference_of_another_model_is_refused(workplace, tmp_path, monkeypatch):
    shutil.copytree(workplace / "models", tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    found = resolve_model("models/vae.keras")
    with pytest.raises(VaelineError, match="no latent reference; `dvc repro evaluate` makes one"):
        found.read_reference()
    other = read_reference(workplace / "reports/latent_reference.json")
    write_reference(dataclasses.replace(other, model_sha256="f" * 64), tmp_path / "reports/latent_reference.json")
    with pytest.raises(VaelineError, match=r"from another model \(ffffffffffff…\) than models/vae\.keras"):
        found.read_reference()


def test_looking_for_a_model_where_there_is_no_store_makes_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(VaelineError, match=r"no such model file, and no store of runs in .*mlflow\.db"):
        resolve_model("anything")
    assert not list(tmp_path.iterdir())


def test_a_store_that_does_not_answer_is_one_sentence(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(VaelineError, match=r"the tracking store http://127\.0\.0\.1:1 cannot be used"):
        resolve_model("anything")


def test_a_file_needs_no_store(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert resolve_model("models/vae.keras").model.latent_dim == 4
