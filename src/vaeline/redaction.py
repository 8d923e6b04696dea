"""Remove secrets from text: the user, the password and the query values of URIs, and secrets of the environment."""

import logging
import os
import re
import sys
import traceback
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote

HIDDEN = "***"
SHORTEST = 4  # a shorter secret is removed from URIs, but not from other words
LONG = 8  # a query value of this length may be a secret, whatever its name
SECRET_NAMES = re.compile(r"password|passwd|pwd|secret|token|api_?key|credential|signature|^sig$", re.IGNORECASE)
SECRET_VARIABLES = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|CREDENTIAL)S?(_|$)", re.IGNORECASE)
# Everything to the last @ may belong to a password, which may hold /, ?, # and quotes.
# A path that was a URI has one slash behind its scheme.
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/+(?:\S*@)?[^\s\"'<>`]*")
PARTS = re.compile(r"(?P<scheme>[^:/?#\s]*:(?P<slashes>/+))(?P<authority>[^/]*)(?P<rest>.*)", re.DOTALL)
USED_BY_URIS = r"[/?#\s]", r"[/?#@:\s]"  # a library that reads a URI in another way repeats parts of a password


def public_uri(uri: str) -> str:
    """A URI without its user and its password, with `***` for the values of its query; other text stays as it is.

    A password may hold `/`, `?`, `#` and `@`: all before the last `@` goes, if there may be a password at all.
    """
    scheme, _, rest = _split(uri)
    address, mark, tail = rest.partition("#")
    before, question, query = address.partition("?")
    if question:
        query = _without_values(query, bare=bool(scheme) and not before.startswith("/"))
    return f"{scheme}{before}{question}{query}{mark}{_without_values(tail, only_secret=True)}"


def user_of(uri: str) -> str:
    """The user that a URI names with a password, or in a database's address; "" if there is none.

    The user of an http address without a password may be a token.
    """
    user, colon, _ = _split(uri)[1].partition(":")
    return unquote(user) if colon or not uri.lower().startswith("http") else ""


def redact(text: str) -> str:
    """Text without the secrets of the URIs in it, and without the secrets that the environment holds.

    The secrets of a URI are removed from the rest of the text, too: libraries repeat them decoded or in parts.
    """
    given = [value for value in os.environ.values() if _split(value)[1]]
    secrets = {secret for uri in (*URI.findall(text), *given) for secret in _secrets_of(uri)}
    secrets |= {
        value for name, value in os.environ.items() if SECRET_VARIABLES.search(name) and not os.path.exists(value)
    }
    for uri in given:  # their passwords may hold spaces
        text = text.replace(uri, public_uri(uri))
    text = URI.sub(lambda match: public_uri(match[0]), text)
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST:
            text = text.replace(secret, HIDDEN)
    return text


def one_line(text: object, most: int) -> str:
    """The text, or the message of an error, in one line without secrets, cut to `most` characters."""
    return " ".join(redact(str(text)).split())[:most]


class RedactedRecord(logging.LogRecord):
    """A log record without secrets in its message and its traceback."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if isinstance(self.exc_info, tuple) and self.exc_info[1]:
            self.exc_text = _traceback(self.exc_info[1])

    def getMessage(self) -> str:  # noqa: N802 (logging's own name)
        return redact(super().getMessage())


def redact_output() -> None:
    """From now on, log records and tracebacks of this process have no secrets."""
    logging.setLogRecordFactory(RedactedRecord)
    sys.excepthook = _print_redacted


def _print_redacted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    print(_traceback(error), file=sys.stderr)


def _traceback(error: BaseException) -> str:
    return redact("".join(traceback.format_exception(error))).rstrip("\n")


def _split(uri: str) -> tuple[str, str, str]:
    """The scheme of a URI with its slashes, the login, and what follows it; other text is all in the last part."""
    parts = PARTS.fullmatch(uri)
    if parts is None:
        return "", "", uri
    scheme, authority, after = parts["scheme"], parts["authority"], parts["authority"] + parts["rest"]
    if len(parts["slashes"]) > 2:  # no authority
        return scheme[: scheme.index("/") + 2], "", scheme[scheme.index("/") + 2 :] + after
    is_mlflows = parts["slashes"] == "/" and not scheme.lower().startswith("http")  # models:/name@alias
    begins = re.match("[^@]*:" if is_mlflows else ".*[:@]", authority)
    if "@" not in after or not begins:
        return scheme, "", after
    login, _, rest = after.rpartition("@")
    return scheme, login, rest


def _without_values(query: str, only_secret: bool = False, bare: bool = False) -> str:
    """A query with `***` for its values; with `only_secret`, for those whose names say so; with `bare`, for words."""

    def hide(part: str) -> str:
        key, equals, value = part.partition("=")
        if not equals:
            return HIDDEN if bare and re.search(r"\w", part) else part
        return f"{key}={HIDDEN}" if value and (not only_secret or SECRET_NAMES.search(key)) else part

    return "".join(part if part in "&;?" else hide(part) for part in re.split("([&;?])", query))


def _secrets_of(uri: str) -> set[str]:
    """The password, the token and the query values of a URI: as written, decoded, encoded, and the parts of a login."""
    _, login, rest = _split(uri)
    user, _, password = login.partition(":")
    secrets = {password or ("" if user_of(uri) else user)}
    before, _, fragment = rest.partition("#")
    for text, shortest in ((before.partition("?")[2], LONG), (fragment, len(uri))):
        for part in re.split("[&;?]", text):
            key, _, value = part.partition("=")
            if SECRET_NAMES.search(key) or len(value) >= shortest:
                secrets.add(value)
    secrets |= {unquote(text) for text in secrets} | {quote(unquote(text), safe="") for text in secrets}
    return secrets | {part for text in secrets for marks in USED_BY_URIS for part in re.split(marks, text)}
