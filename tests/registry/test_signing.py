import json
import shutil
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from registry.vault import CANDIDATES, SERVED

from vaeline.errors import VaelineError
from vaeline.pyfunc.contents import SIGNATURE, write_list
from vaeline.pyfunc.package import package_pyfunc
from vaeline.registry.candidates import register_candidate
from vaeline.registry.promotion import promote
from vaeline.registry.rollback import roll_back
from vaeline.registry.signing import sign_folder, verify_folder
from vaeline.registry.stored import load_stored, sign_stored, stored_version
from vaeline.tracking.runs import DIGEST_TAG, FILES_TAG

PEM, PLAIN = serialization.Encoding.PEM, serialization.NoEncryption()


def write_keys(folder, name, key):
    private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, PLAIN)
    public = key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pem").write_bytes(private)
    (folder / f"{name}.pub").write_bytes(public)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Key pairs: ours, another of the same kind, and one of a kind that cannot be used."""
    folder = tmp_path_factory.mktemp("keys")
    write_keys(folder, "ours", ec.generate_private_key(ec.SECP256R1()))
    write_keys(folder, "theirs", ec.generate_private_key(ec.SECP256R1()))
    write_keys(folder, "rsa", rsa.generate_private_key(65537, 2048))
    return folder


@pytest.fixture
def signed(tmp_path, keys):
    """A signed folder."""
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: none")
    (folder / "code/model.py").write_text("answer = 42")
    sign_folder(folder, keys / "ours.pem")
    verify_folder(folder, keys / "ours.pub", "it")
    return folder


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            lambda folder: (folder / "code/model.py").write_text("answer = 43"),
            r"is not valid: .*mismatch for \W*code/model\.py",
        ),
        (lambda folder: (folder / "code/more.py").write_text(""), r"is not valid: .*Extra files .*code/more\.py"),
        (lambda folder: (folder / "MLmodel").unlink(), r"is not valid: .*Missing files .*MLmodel"),
        (lambda folder: (folder / ".gitignore").write_text("*"), r"is not valid: .*Extra files .*\.gitignore"),
        (
            lambda folder: (folder / SIGNATURE).unlink(),
            "^it is not signed, but .* requires it; `vaeline reg",
        ),
        (lambda folder: (folder / SIGNATURE).write_text("{}"), "its signature is not valid: "),
        (lambda folder: forge(folder / SIGNATURE), "its signature was made with another key than that of"),
    ],
)
def test_a_signature_covers_every_file(signed, keys, spoil, sentence):
    spoil(signed)
    with pytest.raises(VaelineError, match=sentence) as error:
        verify_folder(signed, keys / "ours.pub", "it")
    assert "\n" not in str(error.value)


def forge(file):
    """Claim another payload under the old signature."""
    bundle = json.loads(file.read_text())
    payload = bundle["dsseEnvelope"]["payload"]
    bundle["dsseEnvelope"]["payload"] = payload[:-8] + ("A" if payload[-8] != "A" else "B") + payload[-7:]
    file.write_text(json.dumps(bundle))


def test_only_the_right_keys_sign_and_verify(signed, keys):
    with pytest.raises(VaelineError, match="its signature is not valid: Key mismatch"):
        verify_folder(signed, keys / "theirs.pub", "it")
    for key in ("rsa.pub", "ours.pem"):
        with pytest.raises(VaelineError, match=rf"{key}: cannot verify with this key"):
            verify_folder(signed, keys / key, "it")
    for key in ("rsa.pem", "ours.pub"):
        with pytest.raises(VaelineError, match=rf"{key}: cannot sign with this key"):
            sign_folder(signed, keys / key)


def test_with_a_public_key_nothing_unsigned_is_promoted_loaded_or_rolled_back_to(crowned, keys, monkeypatch):
    (crowned.root / "signing.pub").write_bytes((keys / "ours.pub").read_bytes())
    with pytest.raises(VaelineError, match=rf"^models:/{CANDIDATES}/2 is not signed"):
        promote(crowned.client, crowned.candidate(2), SERVED, crowned.terms)
    sign_stored(stored_version(crowned.client, crowned.candidate(2)), keys / "ours.pem")
    promote(crowned.client, crowned.candidate(2), SERVED, crowned.terms)
    assert load_stored(stored_version(crowned.client, crowned.served(2))).latent_dim == 2
    with pytest.raises(VaelineError, match=rf"^models:/{SERVED}/1 is not signed"):
        roll_back(crowned.client, SERVED, "a reason")
    crowned.file(crowned.served(2), "model/code/vaeline/errors.py").write_text("# changed")
    listed = write_list(crowned.file(crowned.served(2), "model"))  # by somebody who may change tags, too
    crowned.client.set_model_version_tag(SERVED, "2", FILES_TAG, listed)
    with pytest.raises(VaelineError, match=r"its signature is not valid: .*code/vaeline/errors\.py"):
        load_stored(stored_version(crowned.client, crowned.served(2)))
    assert crowned.champion() == "2"


def test_what_is_served_from_where_it_lies_keeps_its_signature(vault, keys, monkeypatch):
    monkeypatch.setenv("VAELINE_PUBLIC_KEY", str(keys / "ours.pub"))
    stored = stored_version(vault.client, vault.candidate(1))
    sign_stored(stored, keys / "ours.pem")
    cache = vault.file(vault.candidate(1), "model/code/vaeline/__pycache__")
    cache.mkdir()
    (cache / "errors.cpython-311.pyc").write_bytes(b"byte code of somebody")
    with stored.package() as folder:
        assert not list(folder.rglob("*.pyc"))


def test_registration_signs_where_there_is_a_key(vault, keys, monkeypatch, tmp_path):
    monkeypatch.setenv("VAELINE_SIGNING_KEY", str(keys / "ours.pem"))
    monkeypatch.setenv("VAELINE_PUBLIC_KEY", str(keys / "ours.pub"))
    first = vault.candidate(1)
    archive = vault.root / "seed-1/vae.keras"
    vault.client.delete_model_version(CANDIDATES, "1")
    shutil.rmtree(vault.file(first, "model"))
    version = register_candidate(vault.client, vault.client.get_run(first.run_id), archive, CANDIDATES)
    with stored_version(vault.client, version).package() as folder:
        assert (folder / SIGNATURE).is_file()
    assert version.tags[DIGEST_TAG] == first.tags[DIGEST_TAG]


def test_signing_with_a_key_that_does_not_fit_the_public_one_is_refused(vault, keys, monkeypatch):
    monkeypatch.setenv("VAELINE_PUBLIC_KEY", str(keys / "theirs.pub"))
    with pytest.raises(VaelineError, match="Key mismatch"):
        sign_stored(stored_version(vault.client, vault.candidate(1)), keys / "ours.pem")
    assert not vault.file(vault.candidate(1), f"model/{SIGNATURE}").exists()


def test_a_key_that_is_not_there_and_a_package_that_is_missing_are_sentences(vault, keys, monkeypatch, tmp_path):
    monkeypatch.setenv("VAELINE_PUBLIC_KEY", "nowhere.pub")
    with pytest.raises(VaelineError, match=r"^VAELINE_PUBLIC_KEY is nowhere\.pub, but there is no such file$"):
        load_stored(stored_version(vault.client, vault.candidate(1)))
    monkeypatch.setitem(sys.modules, "model_signing.hashing", None)
    monkeypatch.setitem(sys.modules, "model_signing.signing", None)
    with pytest.raises(VaelineError, match=r"extra `signing`, and model_signing\.signing is"):
        sign_folder(tmp_path, keys / "ours.pem")


def test_a_folder_that_vaeline_signed_is_one_that_openssfs_own_tool_verifies(vault, keys, tmp_path):
    folder = tmp_path / "model"
    package_pyfunc(vault.root / "seed-1/vae.keras", folder)
    sign_folder(folder, keys / "ours.pem")
    arguments = ["verify", "key", str(folder), "--signature", str(folder / SIGNATURE)]
    arguments += ["--public_key", str(keys / "ours.pub"), "--no-ignore-git-paths"]
    subprocess.run([sys.executable, "-m", "model_signing", *arguments], check=True, capture_output=True)
