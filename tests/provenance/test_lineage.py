"""Lineage both ways, in a project of two trainings of which one is the champion."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from provenance.test_graph import read_mermaid

from vaeline.artifacts import digest, write_json
from vaeline.data.accepted import ACCEPTED, Rows, rows_digest, rows_file, write_rows
from vaeline.data.prepared import Prepared
from vaeline.data.sources import MNIST_IMAGE
from vaeline.errors import VaelineError
from vaeline.images.idx import read_idx, write_idx
from vaeline.provenance.graph import Graph, Node
from vaeline.provenance.lineage import lineage
from vaeline.provenance.nodes import _source_of as source_of
from vaeline.provenance.subjects import find_subject
from vaeline.registry.ledger import append, entry_digest
from vaeline.tracking.history import lock_on_disk, recorded_locks
from vaeline.tracking.runs import set_tags
from vaeline.tracking.trees import disk_tree, dvc_md5


@pytest.fixture
def ask(client, two_models):
    """The graph about what a text names."""

    def asked(text: str) -> Graph:
        recorded = [*recorded_locks()[0], *lock_on_disk()]
        return lineage(client, find_subject(client, text, recorded), recorded)

    return asked


def reached(graph: Graph, back: bool) -> dict[str, Node]:
    """All that the subject was made of, or that was made of it, by kind and label."""
    found = [graph.subject]
    for node in found:
        edges = graph.sources(node) if back else graph.uses(node)
        others = (edge.source if back else edge.target for edge in edges)
        found += [other for other in dict.fromkeys(others) if other not in found]
    return {f"{graph.nodes[node].kind} {graph.nodes[node].label}": graph.nodes[node] for node in found[1:]}


def md5_of(project, path: str) -> str:
    return dvc_md5(disk_tree(project.root / path))


@pytest.mark.parametrize("name", ["models:/vae-digits@champion", "models:/vae-digits/1"])
def test_a_champion_leads_back_to_its_candidate_and_to_all_that_made_it(ask, project, two_models, name):
    graph = ask(name)
    found = reached(graph, back=True)
    run, commit = two_models[1], two_models[1].data.tags["mlflow.source.git.commit"]
    assert graph.nodes[graph.subject].label == "vae-digits/1 @champion"
    assert found["version vae-digits-candidates/1"].digest == project.model_sha256(1)
    assert found["model models/vae.keras"].digest == project.model_sha256(1)
    assert found[f"run {run.info.run_name}"].facts["metrics"] == {"test/neg_elbo": 101.0}
    assert found["commit Train 1"].digest == commit
    assert found["commit Train 1"].facts["branches"] == "main"
    assert found["parameters params.yaml"].facts["values"]["train.seed"] == "1"
    assert found["environment requirements.lock"].digest == digest(project.root / "requirements.lock")
    assert found["validation reports/validation.json"].facts["status"] == "passed"
    assert found["validation reports/validation.json"].digest == md5_of(project, "reports/validation.json")
    assert found["data data/prepared"].digest == md5_of(project, "data/prepared")
    assert found["data data/prepared"].facts["splits"]["test"]["rows"] == 3
    assert found["data data/raw"].digest == md5_of(project, "data/raw")
    assert found["code code of train"].facts == {
        path: md5_of(project, path) for path in ("src/models", "pipeline/train.py")
    }
    assert found["code code of prepare"].facts == {"pipeline/prepare.py": md5_of(project, "pipeline/prepare.py")}
    lock = found["lock dvc.lock"]
    assert (lock.facts["found in"], lock.facts["first commit"]) == ("the run's artifacts", commit)
    assert set(lock.facts["stages"]) == {"fetch", "prepare", "validate", "train", "evaluate", "plot"}
    assert lock.facts["stages"]["train"]["params"]["params.yaml"]["train"] == {"seed": 1}


def test_a_candidate_says_what_became_of_it_and_of_no_other(ask):
    assert reached(ask("models:/vae-digits-candidates/1"), back=False).keys() == {"version vae-digits/1 @champion"}
    assert reached(ask("models:/vae-digits-candidates/2"), back=False) == {}


def test_a_champion_names_the_move_that_made_it_one(ask, client):
    told = {"who": "nobody", "from": "", "from_digest": "", "to_digest": "", "gate_sha256": "0" * 64}
    first = append(client, "vae-digits", [], told | {"action": "promote", "to": "1", "reason": "better"})
    append(client, "vae-digits", [first], told | {"action": "promote", "to": "2", "reason": "another"})
    for name in ("models:/vae-digits@champion", "models:/vae-digits-candidates/1"):
        graph = ask(name)
        (move,) = (node for node in graph.nodes.values() if node.kind == "ledger")
        assert (move.label, move.digest, move.facts["reason"]) == (
            "entry 1, promote",
            entry_digest(first),
            "better",
        )
        assert [edge.target for edge in graph.uses(move.id)] == ["version:vae-digits/1"]


def test_a_copy_whose_candidate_was_deleted_leads_to_the_model(ask, client, two_models):
    client.delete_model_version("vae-digits-candidates", "1")
    found = reached(ask("models:/vae-digits@champion"), back=True)
    assert {"model models/vae.keras", f"run {two_models[1].info.run_name}", "data data/raw"} <= found.keys()


def test_a_run_by_name_or_id_and_a_number_that_only_one_version_has(ask, two_models):
    run = two_models[2]
    for name in (run.info.run_name, run.info.run_id, run.info.run_id[:8]):
        graph = ask(name)
        assert graph.subject == f"run:{run.info.run_id}"
        assert "version vae-digits-candidates/2" in reached(graph, back=False)
    assert ask("2").subject == "version:vae-digits-candidates/2"
    with pytest.raises(VaelineError, match=r"use models:/vae-digits.*/1 or models:/vae-digits.*/1"):
        ask("1")


@pytest.mark.parametrize("path", ["data/prepared", "data/raw"])
def test_data_leads_to_all_runs_and_versions_trained_on_it(ask, project, two_models, path):
    md5 = md5_of(project, path)
    for name in (md5, md5.removesuffix(".dir"), md5[:9]):
        found = reached(ask(name), back=False)
        assert {label for label in found if label.startswith("run ")} == {
            f"run {run.info.run_name}" for run in two_models.values()
        }
        assert {"version vae-digits-candidates/2", "version vae-digits/1 @champion"} <= found.keys()


def test_raw_data_leads_through_the_prepared_and_came_from_its_stage(ask, project):
    graph = ask(md5_of(project, "data/raw"))
    (way,) = graph.uses(graph.subject)
    assert graph.nodes[way.target].label == "data/prepared"
    assert "stage fetch" in reached(graph, back=True)


def test_a_file_of_one_run_leads_to_that_run_alone(ask, project, two_models):
    (recorded,) = [lock for lock in recorded_locks()[0] if lock.model_md5 == dvc_md5({"": b"weights of 1"})]
    for path, back in {"models/vae.keras": True, "reports/scores.parquet": True}.items():
        md5 = next(
            entry["md5"] for stage in recorded.stages.values() for entry in stage["outs"] if entry["path"] == path
        )
        found = reached(ask(md5), back=back)
        assert [label for label in found if label.startswith("run ")] == [f"run {two_models[1].info.run_name}"]


def test_code_leads_to_the_runs_that_it_went_into(ask, project, client, two_models):
    old = md5_of(project, "src/models")
    project.record("Train 3", seed=3, code="print('new')")
    found = reached(ask(old), back=False)
    assert len([label for label in found if label.startswith("run ")]) == 2
    assert reached(ask(md5_of(project, "src/models")), back=False) == {}, "no run of it is in the store yet"


def test_a_test_image_leads_to_its_source_and_to_its_scores(ask, project, two_models):
    graph = ask("test/1")
    image = graph.nodes[graph.subject]
    facts = {key: image.facts[key] for key in ("label", "class", "source", "as in the source")}
    assert facts == {
        "label": 7,
        "class": "h",
        "source": "row 7 of data/raw/train-images-idx3-ubyte",
        "as in the source": "true",
    }
    pixels = np.load(project.root / "data/prepared/test_images-00000.npy")[1]
    assert image.digest == hashlib.sha256(pixels.tobytes()).hexdigest()
    found = reached(graph, back=False)
    for seed, run in two_models.items():
        assert found[f"run {run.info.run_name}"].facts["scores of the image"] == {"neg_elbo": 101.0 + seed}
    assert {edge.label for edge in graph.uses(graph.subject)} == {"tested"}
    assert {"data data/raw", "data data/prepared"} <= reached(graph, back=True).keys()


def test_a_training_image_has_trained_and_no_scores(ask):
    graph = ask("train/2")
    assert {edge.label for edge in graph.uses(graph.subject)} == {"trained"}
    assert all("scores of the image" not in node.facts for node in graph.nodes.values())
    assert {edge.label for edge in ask("validation/0").uses("image:validation/0")} == {"validated"}


def test_an_image_of_another_source_is_told(ask, project):
    file = project.root / "data/raw/train-images-idx3-ubyte"
    images = read_idx(file)
    for raw in (images[::-1], images[:1]):
        write_idx(file, raw)
        assert ask("test/1").nodes["image:test/1"].facts["as in the source"] == "false"
    file.unlink()
    assert "as in the source" not in ask("test/1").nodes["image:test/1"].facts


def test_other_data_on_disk_was_used_by_no_run(ask, project):
    labels = np.load(project.root / "data/prepared/test_labels.npy")
    np.save(project.root / "data/prepared/test_labels.npy", labels[::-1])
    manifest = json.loads((project.root / "data/prepared/manifest.json").read_text())
    manifest["splits"]["test"]["labels_sha256"] = "another"
    project.write("data/prepared/manifest.json", json.dumps(manifest))
    assert reached(ask("test/1"), back=False) == {}
    assert reached(ask("train/1"), back=False), "those rows are the same"


def test_what_ci_trained_names_the_job(ask, client, two_models):
    address = "https://example.org/a/b/actions/runs/7/attempts/1"
    set_tags(client, two_models[2].info.run_id, {"vaeline.ci_url": address, "vaeline.ci_workflow": "ci"})
    node = reached(ask(two_models[2].info.run_name), back=True)[f"CI run {address}"]
    assert node.facts == {"workflow": "ci"}


def test_where_the_lock_is_lost_the_tags_still_tell_what_went_in(ask, client, project, two_models):
    run = two_models[2]
    (artifacts,) = (project.root / "mlruns").glob(f"*/{run.info.run_id}/artifacts")
    for kept in (artifacts / "locks").iterdir():
        kept.unlink()
    set_tags(client, run.info.run_id, {"vaeline.dvc_lock_sha256": "0" * 64, "vaeline.outs.models/vae.keras": "1" * 32})
    found = reached(ask(run.info.run_name), back=True)
    assert found["data data/prepared"].digest == md5_of(project, "data/prepared")
    assert found["data data/raw"].digest == md5_of(project, "data/raw")
    assert found["code code of train"].facts.keys() == {"src/models", "pipeline/train.py"}
    assert found["lock dvc.lock"].facts == {}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nothing", "nothing has the name 'nothing'; use models:/name/version"),
        ("99", "nothing has the name '99'"),
        ("models:/vae-digits/9", "no such registered version; the versions are: models:/vae-digits"),
        ("test/3", "data/prepared has no image test/3: test has 3 rows"),
        ("abcdef", "nothing has the name 'abcdef'"),
    ],
)
def test_what_is_not_there_is_one_sentence(two_models, vaeline, name, sentence):
    answer = vaeline("lineage", name)
    assert answer.exit_code == 1
    assert sentence in answer.output


def test_the_command_prints_text_json_and_mermaid(two_models, vaeline):
    text = vaeline("lineage", "models:/vae-digits@champion").output
    for part in (
        "version vae-digits/1 @champion",
        "← version vae-digits-candidates/1",
        f"← run {two_models[1].info.run_name}",
        "src/models: ",
        "train.seed=1",
        "status: passed",
    ):
        assert part in text
    plain = json.loads(vaeline("lineage", "models:/vae-digits@champion", "--json").output)
    assert plain["subject"] == "version:vae-digits/1"
    nodes, edges, bold = read_mermaid(vaeline("lineage", "models:/vae-digits@champion", "--mermaid").output)
    assert (len(nodes), len(edges)) == (len(plain["nodes"]), len(plain["edges"]))
    assert nodes[bold].startswith("version<br/>vae-digits/1 @champion<br/>")
    text = vaeline("lineage", "test/0").output
    assert "What was made from it" in text
    assert "scores of the image: neg_elbo=101.0" in text
    assert "choose one" in vaeline("lineage", "test/0", "--json", "--mermaid").output


def test_without_a_store_none_is_made(project, vaeline):
    (project.root / "mlflow.db").unlink()
    answer = vaeline("lineage", "1")
    assert (answer.exit_code, "no store of runs in" in answer.output) == (1, True)
    assert not (project.root / "mlflow.db").exists()


def test_an_image_of_a_batch_leads_to_the_batch(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = Rows(digits.images[:10], digits.labels[:10], np.arange(10))
    write_json(ACCEPTED / "20260101-a.json", {"id": "20260101-a", "dataset": "digits", "labelled": True})
    manifest = {"dataset": "digits", "batches": [{"id": "20260101-a", "first": 100, "rows": 10}]}
    prepared = Prepared(manifest, MNIST_IMAGE, {})
    assert source_of("train", 103, prepared) == (3, rows_file("20260101-a"), None)
    record = {"id": "20260101-a", "dataset": "digits", "labelled": True}
    write_json(ACCEPTED / "20260101-a.json", record | {"kept_sha256": rows_digest(rows.images, rows.labels)})
    rows_file("20260101-a").parent.mkdir()
    write_rows(rows_file("20260101-a"), rows)
    row, file, images = source_of("validation", 103, prepared)
    assert (row, file) == (3, rows_file("20260101-a"))
    np.testing.assert_array_equal(images[row], digits.images[3])
    for split, row in (("test", 103), ("train", 99), ("train", 110)):
        assert source_of(split, row, prepared) == (row, Path("data/raw/train-images-idx3-ubyte"), None)
