"""Signatures of registered models by OpenSSF model-signing with an elliptic curve key. They are optional.

If `VAELINE_SIGNING_KEY` names a private key (PEM, P-256, P-384 or P-521), every registered model is signed. If
`VAELINE_PUBLIC_KEY` names a public key, or the repository's root has the file `signing.pub`, signatures are required:
a model without a valid signature is not promoted, rolled back to or loaded from the store.

The signature covers every file of the registered folder, including the code that MLflow runs when it serves the model.
So does the digest in the version's tags, but whoever may write tags can change both.
"""

import os
from pathlib import Path
from types import ModuleType

from vaeline.errors import VaelineError
from vaeline.pyfunc.contents import SIGNATURE
from vaeline.tracking.repository import repository_root

PUBLIC_KEY = "signing.pub"


def signing_key() -> Path | None:
    """The private key for signing; None if there is none. Raises VaelineError if the file is missing."""
    return _existing(os.environ.get("VAELINE_SIGNING_KEY"), "VAELINE_SIGNING_KEY")


def public_key() -> Path | None:
    """The public key that signatures must fit; None if there is none. Raises VaelineError if the file is missing."""
    if named := os.environ.get("VAELINE_PUBLIC_KEY"):
        return _existing(named, "VAELINE_PUBLIC_KEY")
    committed = repository_root() / PUBLIC_KEY
    return committed if committed.is_file() else None


def sign_folder(folder: Path, key: Path) -> None:
    """Sign all files of `folder` with a private key; the signature is its file `model.sig`. Raises VaelineError."""
    signing = _model_signing("signing")
    try:
        config = signing.Config().set_hashing_config(_hashing()).use_elliptic_key_signer(private_key=key)
        config.sign(folder, folder / SIGNATURE)
    except (ValueError, TypeError, AttributeError) as error:
        raise VaelineError(f"{key}: cannot sign with this key: {_reason(error)}") from None


def verify_folder(folder: Path, key: Path, name: str) -> None:
    """Compare a signed folder with its signature; `name` is the model's name in messages.

    Raises:
        VaelineError: there is no signature, another key made it, or a file was changed, added or removed.
    """
    if not (folder / SIGNATURE).is_file():
        raise VaelineError(f"{name} is not signed, but {key} requires it; `vaeline registry sign` signs a version")
    config = _model_signing("verifying").Config().set_hashing_config(_hashing())
    from cryptography.exceptions import InvalidSignature

    try:
        config.use_elliptic_key_verifier(public_key=key)
    except (ValueError, TypeError, AttributeError) as error:
        raise VaelineError(f"{key}: cannot verify with this key: {_reason(error)}") from None
    try:
        config.verify(folder, folder / SIGNATURE)
    except InvalidSignature:
        raise VaelineError(f"{name}: its signature was made with another key than that of {key}") from None
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise VaelineError(f"{name}: its signature is not valid: {_reason(error)}") from None


def _hashing():
    return _model_signing("hashing").Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


def _model_signing(part: str) -> ModuleType:
    import importlib

    try:
        return importlib.import_module(f"model_signing.{part}")
    except ImportError as error:
        raise VaelineError(
            f"signatures need the packages of vaeline's extra `signing`, and {error.name} is missing"
        ) from None


def _existing(path: str | None, variable: str) -> Path | None:
    if not path:
        return None
    if not Path(path).is_file():
        raise VaelineError(f"{variable} is {path}, but there is no such file")
    return Path(path)


def _reason(error: Exception) -> str:
    """The error in one line, without the bytes of digests that model-signing prints."""
    return " ".join(str(error).partition(": Expected")[0].split())[:300] or type(error).__name__
