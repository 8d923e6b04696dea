import re

import numpy as np

from vaeline.evaluation.inference import decode
from vaeline.export.files import FORMATS


def test_a_model_is_exported_and_only_an_earlier_export_is_replaced(vaeline, tmp_path, model):
    out = tmp_path / "exported"
    answer = vaeline("export", "--out", out)
    assert answer.exit_code == 0, answer.output
    lines = re.findall(rf"^{out}/(\w+)\.onnx: [\d.]+ MB, [\d.]+ ms an image$", answer.stdout, re.MULTILINE)
    assert lines == ["encoder", "decoder", "score"]
    z = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    found = FORMATS["onnx"].open(out / "decoder.onnx")({"z": z})["images"]
    np.testing.assert_allclose(found, decode(model, z), atol=1e-4)

    for folder, sentence in ((out, "--force replaces it"), (tmp_path, "but no export of vaeline")):
        refused = vaeline("export", "--out", folder)
        assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
        assert sentence in refused.stderr
    (tmp_path / "file").touch()
    assert "is a file; choose a folder" in vaeline("export", "--out", tmp_path / "file", "--force").stderr
    (out / "old").touch()
    assert vaeline("export", "--out", out, "--force").exit_code == 0
    assert not (out / "old").exists()
