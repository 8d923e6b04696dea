"""Command lines with missing, unknown, unwritable or senseless arguments."""

import shutil
import zipfile

import numpy as np
import pytest
from bad_input.refusal import check_refused

from vaeline.params.whole import change_params

PICTURE = "pictures/1.png"
NOT_WRITTEN = ("cannot be written",)
NO_STORE = ("no store of runs",)
CUT = ("not a vaeline model archive: cut off, or no .keras file", "dvc repro")

ROWS = [
    # profiles, presets, reports
    ("profile pictures --name a/b", ("--name 'a/b'", "letters, digits")),
    ("profile pictures --name ../x", ("--name '../x'",)),
    ("profile pictures --name ..", ("--name '..'",)),
    ("profile pictures --name .x", ("--name '.x'",)),
    ("profile nowhere --name x", ("nowhere: no such file or folder",)),
    ("profile pictures --name digits", ("data/profiles/digits.yaml exists", "--force")),
    ("profile pictures", ("Missing option '--name'",)),
    ("validate nowhere --profile digits", ("nowhere: no such file or folder",)),
    ("validate a-file --profile digits", ("a-file: neither a picture",)),
    ("validate pictures --profile nope", ("nope.yaml: no such profile", "there are: digits", "vaeline profile")),
    ("validate pictures --profile params.yaml", ("params.yaml: unknown key 'data'", "more")),
    ("validate pictures --profile bomb.yaml", ("bomb.yaml: more than 200,000 values", "aliases")),
    ("validate pictures --profile digits --out a-file", ("a-file: cannot be written",)),
    ("validate pictures --profile digits --out a-file/x", ("a-file/x: cannot be written",)),
    ("validate pictures --profile digits --out /proc/x", ("/proc/x: cannot be written",)),
    ("preset ../params", ("there is no preset '../params'", "the presets are: autoencoder")),
    ("preset /etc/passwd", ("there is no preset '/etc/passwd'",)),
    ("preset ./default", ("there is no preset './default'",)),
    ("preset evaluation", ("there is no preset 'evaluation'", "evaluation/full")),
    ("preset nope", ("there is no preset 'nope'",)),
    ("preset bomb", ("presets/bomb.yaml: more than 200,000 values",)),
    ("preset list", ("presets/list.yaml: expected sections of keys and values",)),
    ("run --preset nope", ("there is no preset 'nope'",)),
    ("run --preset ../params", ("there is no preset '../params'",)),
    ("report", ("Missing option '--base'",)),
    ("report --base nope", ("--base nope: git has no such commit",)),
    ("summary", ("no reports/registration.json", "dvc repro")),
    # models
    ("sample --model cut.keras", ("cut.keras: ", *CUT)),
    ("sample --model empty.keras", ("empty.keras: ", *CUT)),
    ("sample --model a-file", ("a-file: ", *CUT)),
    ("sample --model other.keras", ("other.keras: not a vaeline model archive",)),
    ("sample --model no-config.keras", ("no-config.keras: not a vaeline model archive",)),
    ("sample --model no-weights.keras", ("no-weights.keras: not a vaeline model archive",)),
    ("sample --model nowhere.keras", ("nowhere.keras: no such model",)),
    ("sample --model models", ("models: no such model file", *NO_STORE)),
    ("sample --model models:/nope/1", ("models:/nope/1: no such model file", *NO_STORE)),
    ("sample --model models:/a/b/c", ("models:/a/b/c: no such model file", *NO_STORE)),
    ("sample -n 0", ("-n", "greater than or equal to 1")),
    ("sample -n x", ("-n", "valid integer")),
    ("sample -n 999999999999", ("-n", "less than or equal to 10000")),
    ("sample --temperature nan", ("--temperature",)),
    ("sample --temperature -1", ("--temperature",)),
    ("sample --seed -1", ("--seed",)),
    ("sample --digit 3", ("--digit 3", "not conditioned", "cvae")),
    ("sample --nope", ("No such option: --nope",)),
    ("nope", ("No such command 'nope'",)),
    ("sample --out x.gif", ("--out x.gif: its name must end in .png or .npy",)),
    ("sample --out a-file/x.png", ("a-file/x.png", *NOT_WRITTEN)),
    ("sample --out /proc/x.png", ("/proc/x.png", *NOT_WRITTEN)),
    ("sample --out folder.png", ("folder.png: is a folder; choose a file",)),
    ("reconstruct", ("Missing argument",)),
    ("reconstruct nowhere", ("no picture could be read: nowhere: no such file",)),
    ("reconstruct a-file", ("a-file: neither a picture",)),
    ("reconstruct empty", ("empty: holds no pictures",)),
    (f"reconstruct {PICTURE} --out x.txt", ("--out x.txt: its name must end in",)),
    (f"interpolate {PICTURE}", ("Missing argument 'end'",)),
    (f"interpolate {PICTURE} nowhere.png", ("nowhere.png: no such file",)),
    (f"interpolate pictures {PICTURE}", ("'pictures' is neither a picture nor a class", "the classes are 0")),
    (f"interpolate {PICTURE} {PICTURE} --steps 1", ("--steps",)),
    ("traverse --steps 0", ("--steps",)),
    ("traverse nope", ("unexpected extra argument",)),
    (f"edit {PICTURE}", ("name either --attribute, or both --from-class and --to-class",)),
    (f"edit {PICTURE} --attribute nope", ("no attribute 'nope'; there are: slant, thickness",)),
    (f"edit {PICTURE} --amount nan", ("--amount", "finite number")),
    (f"restore blur {PICTURE}", ("'blur' is not one of 'denoise', 'inpaint'",)),
    (f"restore inpaint {PICTURE}", ("inpaint needs --mask x,y,width,height",)),
    (f"restore inpaint {PICTURE} --mask a", ("--mask a: expected four whole numbers",)),
    (f"restore inpaint {PICTURE} --mask 1,2,3", ("--mask 1,2,3: expected four whole numbers",)),
    (f"restore inpaint {PICTURE} --mask 0,0,99,99", ("must lie within an image 28 pixels wide",)),
    (f"anomaly {PICTURE} --score nope", ("'nope' is not one of 'neg_elbo'",)),
    (f"anomaly {PICTURE} --threshold nan", ("--threshold", "finite number")),
    (f"anomaly {PICTURE} --worst 0", ("--worst",)),
    (f"anomaly {PICTURE} --score heat_map", ("has no heat maps", "dvc repro evaluate")),
    (f"anomaly {PICTURE} --out a-file/x", ("--out a-file/x: its name must end in .csv or .json",)),
    (f"encode {PICTURE} --out z.csv", ("--out z.csv: its name must end in .npy or .npz",)),
    (f"encode {PICTURE} --out a-file/z.npy", ("a-file/z.npy", *NOT_WRITTEN)),
    ("decode none.npy", ("none.npy: no such file; `vaeline encode` writes latents",)),
    (f"decode {PICTURE}", ("not a readable file of latents",)),
    ("decode wide.npy", ("wide.npy: holds float64 of shape (2, 9), expected numbers (count, 4)",)),
    ("decode nan.npy", ("nan.npy: holds NaN or infinite values",)),
    ("augment -n 0", ("-n",)),
    ("augment --out models/vae.keras", ("is a file; choose a folder",)),
    ("augment --out pictures", ("exists and is not empty; --force replaces it",)),
    ("augment --out models --force", ("holds more than pictures",)),
    (f"compress {PICTURE} --out x.zip", ("--out x.zip: its name must end in .vae",)),
    (f"compress {PICTURE} --step 0", ("--step",)),
    (f"compress {PICTURE} --step nan", ("--step",)),
    ("decompress none.vae", ("none.vae: no such file",)),
    (f"decompress {PICTURE}", ("not a file of `vaeline compress`",)),
    ("export --format nope", ("'nope' is not one of 'onnx', 'savedmodel'",)),
    ("export --out a-file", ("a-file: is a file; choose a folder",)),
    ("export --out pictures", ("holds files, but no export of vaeline",)),
    ("export --model cut.keras", CUT),
    # runs and the registry, without a store
    ("compare a", ("a is only one run; name the baseline and at least one other",)),
    ("compare a b", NO_STORE),
    ("gate", ("Missing argument",)),
    ("gate x", NO_STORE),
    ("promote 1", NO_STORE),
    ("rollback", ("Missing option '--reason'",)),
    ("rollback --reason x", NO_STORE),
    ("history", NO_STORE),
    ("registry check", NO_STORE),
    ("registry nope", ("No such command 'nope'",)),
    ("lineage nope", NO_STORE),
    ("verify nope", NO_STORE),
    # data
    ("monitor", ("Missing argument",)),
    ("monitor nowhere", ("nowhere: no such file or folder",)),
    ("monitor a-file", ("a-file: neither a picture",)),
    ("monitor pictures", ("10 images are too few", "monitor.least_rows is 100")),
    ("ingest nowhere", ("nowhere: no such folder", "ingest.source")),
    ("ingest gopher://x", ("gopher://x: cannot be read",)),
    ("ingest remote://nope/x", ("remote://nope/x: ",)),
    ("simulate nope --out x.npz", ("'nope' is not one of 'clean'",)),
    ("simulate clean", ("Missing option '--out'",)),
    ("simulate clean --out x.npz", ("data.hold_back in params.yaml is 0",)),
    ("simulate clean --out x.npz --rows 0", ("--rows",)),
    ("simulate rotated --out x.npz --strength nan", ("--strength", "finite number")),
    # searches, thresholds, service, store
    ("thresholds --seeds 0", ("--seeds",)),
    ("sweep nowhere.yaml", ("nowhere.yaml: not found",)),
    ("sweep a-file", ("a-file: expected a section of keys and values",)),
    ("sweep pictures", ("pictures: a folder lies where the file should be",)),
    ("sweep params.yaml", ("params.yaml: unknown key 'data'", "more")),
    ("sweep bomb.yaml", ("bomb.yaml: more than 200,000 values",)),
    ("serve --port 99999", ("--port",)),
    ("serve --port x", ("--port", "valid integer")),
    ("serve --interval nan", ("--interval",)),
    ("serve --interval 0", ("--interval",)),
    ("serve --timeout inf", ("--timeout", "finite number")),
    ("serve --rate nan", ("--rate",)),
    ("serve --rate inf", ("--rate", "finite number")),
    ("serve --most-images 0", ("--most-images",)),
    ("serve --most-pixels 0", ("--most-pixels",)),
    ("serve --most-bytes many", ("--most-bytes", "valid integer")),
    ("track ui --port 99999", ("--port",)),
    ("track nope", ("No such command 'nope'",)),
    ("server nope", ("No such command 'nope'",)),
]


@pytest.fixture(scope="module")
def desktop(bench, prepared_directory, some_yaml):
    """The bench with prepared data and with files that are wrong in themselves."""
    shutil.copytree(prepared_directory, bench / "data/prepared", dirs_exist_ok=True)
    change_params({"gate.measured_on": "digits", "monitor.measured_on": "digits"}, bench / "params.yaml")
    (bench / "folder.png").mkdir()
    for place in ("bomb.yaml", "presets/bomb.yaml"):
        (bench / place).write_text(some_yaml)
    (bench / "presets/list.yaml").write_text("- 1\n")
    np.save(bench / "wide.npy", np.zeros((2, 9)))
    np.save(bench / "nan.npy", np.full((2, 4), np.nan))
    with zipfile.ZipFile(bench / "other.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    for missing in ("config.json", "model.weights.h5"):
        name = f"no-{missing.removeprefix('model.').partition('.')[0]}.keras"
        with zipfile.ZipFile(bench / "models/vae.keras") as whole, zipfile.ZipFile(bench / name, "w") as archive:
            for member in whole.namelist():
                archive.writestr(member, b"" if member == missing else whole.read(member))
    return bench


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(("line", "words"), ROWS, ids=[line for line, _ in ROWS])
def test_a_wrong_command_line_is_refused(desktop, monkeypatch, line, words):
    for variable in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    check_refused(desktop, line.split(), words, monkeypatch)
