"""
Secrets taken out of text: by what they are known to be, and by what they look like.

Pure: a text and the values that are known give a text.  What is taken out once leaves nothing to be taken out again, so text may
pass through here more than once.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

MARK = "[secret]"
"""What stands in the place of a secret."""
NAMES = re.compile(
    r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|COOKIE|PGPASS|(?<=_)(?:PASS|PWD|PAT|DSN)$|^(?:PASS|PAT|DSN)$",
    re.IGNORECASE,
)
"""Names of variables whose values are secrets."""
LENGTH = 8
"""Characters from which on a value is taken for a secret: a shorter one would be found in any text."""

_PLACES = re.compile(r"(?:FILE|PATH|DIR|HOME|SOCK|BACKEND|ASKPASS|STORE|CREDENTIALS)$", re.IGNORECASE)
"""Of those, names that may say where something lies: a path under them is no secret."""
_PATH = re.compile(r"(?:~|\.{1,2})?/[^\0]*")
_COMMON = frozenset(
    {
        *(
            "password",
            "passw0rd",
            "password1",
            "postgres",
            "postgresql",
            "changeme",
            "change-me",
            "change_me",
            "12345678",
        ),
        *("123456789", "1234567890", "development", "production", "testtest", "test-key", "disabled", "localhost"),
        *("placeholder", "undefined", "administrator", "required", "optional", "anonymous"),
    }
)
"""Values that are words of any text: who sets a password to one hides nothing by it."""

_KEYS = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----END)[\s\S]){0,20000}"
    r"(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?"
    r"|(?<![A-Za-z0-9_])(?:"
    r"sk-[A-Za-z0-9_-]{16,}"  # Anthropic, OpenAI
    r"|[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"  # Stripe
    r"|gh[opsur]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
    r"|glpat-[A-Za-z0-9_-]{16,}"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])"
    r"|AIza[A-Za-z0-9_-]{30,}"
    r"|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}|hf_[A-Za-z0-9]{30,}"
    r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"  # SendGrid
    r"|do[opr]_v1_[a-f0-9]{40,}|dckr_pat_[A-Za-z0-9_-]{20,}"  # DigitalOcean, Docker
    r"|shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32,}"  # Shopify
    r"|ya29\.[A-Za-z0-9_-]{20,}"  # Google OAuth
    r"|xai-[A-Za-z0-9]{20,}|gsk_[A-Za-z0-9]{20,}|lin_api_[A-Za-z0-9]{20,}|ATATT3[A-Za-z0-9_=-]{20,}"
    r"|AGE-SECRET-KEY-1[A-Z0-9]{20,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"  # a JSON Web Token
    r")"
)
_URL = re.compile(
    r"(?P<before>[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s/:@\"'\\]{0,200}:)(?!\[secret\]@)[^\s/@\"'\\]{1,200}(?=@)"
)
_LONE_URL = re.compile(r"(?P<before>[A-Za-z][A-Za-z0-9+.-]{0,20}://)[A-Za-z0-9_.~%-]{20,200}(?=@)")
"""A token alone before the host, as forges take it."""
_BEARER = re.compile(
    r"(?P<before>\b(?:Bearer|Basic|token)\s+)(?=[A-Za-z0-9._~+/-]*[0-9])[A-Za-z0-9._~+/-]{16,}=*", re.IGNORECASE
)
_HOOK = re.compile(r"(?P<before>https://hooks\.slack\.com/(?:services|workflows)/)(?!\[secret\])[A-Za-z0-9/_-]{16,200}")
"""An address that whoever knows it may post to."""
_COOKIE = re.compile(r"(?P<before>\bCookie:[ \t]{0,8})(?!\[secret\])[^\s\"'][^\r\n\"']{7,4000}", re.IGNORECASE)
_OPTION = re.compile(
    r"(?P<before>(?<![^\s\"'])--?(?:password|passwd|passphrase|pass|token|secret|api-?key|auth-token|access-token)(?:=|[ \t]{1,8})[\"']?)"
    r"(?!\[secret\])(?=[^\s\"']{0,200}[^a-z\s\"'-])[^\s\"'\[<$({][^\s\"']{5,200}",
    re.IGNORECASE,
)
"""A value that a command line gives a program; a word of prose after the option's name is none."""
_USER = re.compile(
    r"(?P<before>(?<![^\s\"'])(?:-u|--user)(?:=|[ \t]{0,8})[\"']?[^\s:/\"'-][^\s:/\"']{0,100}:)"
    r"(?!\[secret\])(?![0-9]{1,10}(?![^\s\"']))[^\s\"']{4,200}"
)
"""``curl -u name:password``; two numbers are a user and a group."""
_NAMED = re.compile(
    r"(?P<before>(?<![A-Za-z0-9])[A-Za-z0-9_-]{0,40}(?:api[_-]?key|secret|token|passwd|password|passphrase|private[_-]?key|access[_-]?key"
    r"|account[_-]?key|cookie|pgpass|[_-](?:pass|pwd|pat|dsn)(?![a-z]))"
    r"[A-Za-z0-9_-]{0,20}[\"']?\s{0,3}[=:]\s{0,3}(?P<quote>[\"']?))"
    r"(?!\[secret\])(?:(?<=[\"'])[^\"'\n]{8,200}|[^\s\"',;&|<>(){}$\[\]`]{8,200})",
    re.IGNORECASE,
)

_URLSAFE = str.maketrans("+/", "-_")

Redact = Callable[[str], str]
"""A text to the same text without secrets."""


def secrets_of(*environments: Mapping[str, str]) -> frozenset[str]:
    """
    The values in *environments* that are secrets: by the names they have, and passwords in addresses.  What is short, a word of
    any text, or the path of something is none: text would be blotted out that is not about it.
    """
    found = set()
    for environment in environments:
        for name, value in environment.items():
            if NAMES.search(name) and not (_PLACES.search(name) and _PATH.fullmatch(value)):
                found.add(value)
            if "://" in value:
                found |= _passwords(value)
    return frozenset(
        value for value in found if len(value) >= LENGTH and value != MARK and value.lower() not in _COMMON
    )


def _passwords(address: str) -> set[str]:
    try:
        password = urlsplit(address).password
    except ValueError:
        return set()
    return {password, unquote(password)} if password else set()


class Redactor:
    """
    Takes the secrets *values* out of text, in their own form and as JSON has them, and whatever looks like one.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        known: set[str] = set()
        for value in values:
            if value and value not in MARK:
                known |= forms(value)
        longest_first = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if known else None

    def __call__(self, text: str) -> str:
        """
        *text* without secrets.
        """
        # Taking one out may bring together the two halves of another, which is rare; it never goes on for long.
        for _ in range(8):
            before, text = text, self._once(text)
            if text == before:
                break
        return text

    def _once(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(MARK, text)
        text = _KEYS.sub(MARK, text)
        for pattern in (_URL, _LONE_URL, _HOOK, _COOKIE, _BEARER, _OPTION, _USER, _NAMED):
            text = pattern.sub(_keep_before, text)
        return text

    def clean(self, value: Any) -> Any:
        """
        *value*, made of JSON's kinds and tuples, with every text in it redacted; names of fields stay as they are.
        """
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {name: self.clean(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(map(self.clean, value))
        return value


def forms(value: str) -> set[str]:
    """
    *value* as it is, as JSON has it, and as programs print it for transport.
    """
    return {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], *_encoded(value)}


def _encoded(value: str) -> set[str]:
    """
    *value* as programs print it for transport, where it is long enough to be known again.
    """
    if len(value) < LENGTH:
        return set()
    data = value.encode("utf-8", "surrogatepass")
    plain = base64.b64encode(data).decode("ascii").rstrip("=")
    # What stands last may hold a part of what follows.
    plain = plain if len(data) % 3 == 0 else plain[:-1]
    return {plain, plain.translate(_URLSAFE), data.hex(), data.hex().upper()}


def _keep_before(match: re.Match[str]) -> str:
    return f"{match['before']}{MARK}"


BY_LOOKS = Redactor()
"""Knows no value, only what secrets look like."""
