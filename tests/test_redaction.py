import logging
import sys
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaeline.errors import VaelineError
from vaeline.redaction import one_line, public_uri, redact, redact_output, user_of

ANY = st.characters(categories=("L", "N", "P", "S"))
SCHEMES = st.sampled_from(["http", "https", "s3", "ssh", "postgresql+psycopg", "mysql", "ray", "webdavs", "x.y-z"])


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://user:pa/ss@host/db", "postgresql://host/db"),
        ("s3://AKIA:ab/c?d#e@bucket/key", "s3://bucket/key"),
        ("https://token@host/x", "https://host/x"),
        ("http:/user:secret@host/x.png", "http:/host/x.png"),
        ("http://host/x?sig=abc&more=1#part", "http://host/x?sig=***&more=***#part"),
        ("https://host/x?abc", "https://host/x?***"),
        ("https://host/x#access_token=abc&page=2", "https://host/x#access_token=***&page=2"),
        ("postgresql:///db?user=me&password=abc", "postgresql:///db?user=***&password=***"),
        ("http://127.0.0.1:5000/#/experiments/1/runs?view=all", "http://127.0.0.1:5000/#/experiments/1/runs?view=all"),
        ("s3://bucket/who@example.org/b.npz", "s3://bucket/who@example.org/b.npz"),
        ("models:/vae-mnist@champion", "models:/vae-mnist@champion"),
        ("sqlite:////folder/a@b/mlflow.db", "sqlite:////folder/a@b/mlflow.db"),
        ("who@example.org: a/b", "who@example.org: a/b"),
    ],
)
def test_only_what_is_secret_goes(uri, shown):
    assert public_uri(uri) == shown
    assert redact(f"the store {uri} gave no answer ({uri!r})") == f"the store {shown} gave no answer ({shown!r})"


@given(
    SCHEMES,
    st.text(ANY, min_size=1, max_size=8),
    st.text(ANY, max_size=20).map(lambda text: f"{text}-planted"),
    st.booleans(),
)
def test_no_password_comes_through_whatever_it_holds(scheme, user, secret, encoded):
    user = user.replace("@", "a").replace(":", "b").replace("/", "c")
    password = quote(secret, safe="") if encoded else secret
    for text in (f"{scheme}://{user}:{password}@host/x", f"{scheme}://host/x?token={quote(secret, safe='')}"):
        assert secret not in public_uri(text)
        assert password not in redact(f"{text} failed: no answer from {text}")
        assert secret not in redact(f"{text} failed: {secret} is no port")


def test_a_secret_is_found_in_what_libraries_make_of_it():
    said = "http://user:12/top%40secret@host: HTTPConnectionPool(host='user', port=12): url: /top@secret"
    assert redact(said) == "http://host: HTTPConnectionPool(host='user', port=12): url: /***"


def test_secrets_of_the_environment_are_known(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://user:two words@host/db")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "abc123")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "/begins/like a path")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path))
    monkeypatch.setenv("PWD", "here")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    assert (
        redact("postgresql://user:two words@host/db, abc123, /begins/like a path") == "postgresql://host/db, ***, ***"
    )
    assert redact(f"{tmp_path} is here: false") == f"{tmp_path} is here: false"


def test_errors_log_records_and_tracebacks_are_redacted(monkeypatch, capsys, caplog):
    uri = "http://user:planted@host/x"
    assert str(VaelineError(f"{uri}: no answer")) == "http://host/x: no answer"
    assert one_line(f"{uri}\n" + "x" * 300, 15) == "http://host/x x"
    made = logging.getLogRecordFactory()
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    try:
        redact_output()
        try:
            raise RuntimeError(uri)
        except RuntimeError as error:
            logging.getLogger("some.library").exception("no answer from %s", uri)
            sys.excepthook(type(error), error, error.__traceback__)
    finally:
        logging.setLogRecordFactory(made)
    assert "no answer from http://host/x" in caplog.text
    assert "RuntimeError: http://host/x" in capsys.readouterr().err
    assert "planted" not in caplog.text


@pytest.mark.parametrize(
    ("uri", "user"),
    [
        ("postgresql://me:a/b@host/db", "me"),
        ("postgresql://me@host/db", "me"),
        ("https://me:secret@host", "me"),
        ("https://token@host", ""),
        ("sqlite:////folder/mlflow.db", ""),
    ],
)
def test_a_token_is_no_user(uri, user):
    assert user_of(uri) == user
