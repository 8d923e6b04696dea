"""Without any source for the data: `dvc repro` stops and says so, `vaeline run` goes on with digits and says so."""

import time

from pipeline.workspace import make_workspace

from vaeline.params.whole import read_params

NO_NETWORK = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
NO_NETWORK |= {name.lower(): value for name, value in NO_NETWORK.items()}


def test_no_source(finished, tmp_path):
    workspace = make_workspace(tmp_path / "offline", dataset="mnist")
    workspace.share_cache(finished)
    began = time.monotonic()
    output = workspace.repro(check=False, VAELINE_MIRROR=str(tmp_path / "nowhere"), **NO_NETWORK)
    assert time.monotonic() - began < 60
    for part in ("could not be downloaded from any source", "nowhere", "VAELINE_MIRROR", "digits", "own images"):
        assert part in output
    assert "Traceback" not in output
    assert not (workspace.root / "data/raw").exists()
    assert read_params(workspace.root / "params.yaml").data.dataset == "mnist"

    output = workspace.run("vaeline", "run", **NO_NETWORK)
    assert "Stage 'train' is cached" in output, "on the digits it is the pipeline of the finished workspace"
    assert "NO SOURCE OF mnist COULD BE REACHED" in output
    assert "vae-digits-candidates v1" in output
    assert read_params(workspace.root / "params.yaml").data.dataset == "digits"
    (run,) = workspace.runs()
    assert run.data.params["data.dataset"] == run.data.tags["vaeline.dataset"] == "digits"
    assert "up to date" in workspace.run("dvc", "status")

    output = workspace.run("vaeline", "run", **NO_NETWORK)
    assert "vae-digits-candidates v1" in output, "the table is shown even when nothing had to run"
    assert "no preset 'huge'; the presets are: autoencoder" in workspace.run(
        "vaeline", "run", "--preset", "huge", check=False
    )
