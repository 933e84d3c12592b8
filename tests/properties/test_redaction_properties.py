"""
What holds of any text that secrets are taken out of.
"""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrd.redaction import BY_LOOKS, MARK, Redactor, secrets_of

TEXT = st.text(max_size=200)
SECRET = st.text(min_size=8, max_size=40).filter(lambda text: text not in MARK and MARK not in text)
LOOKS = [
    "sk-ant-api03-abcdefghijklmnopqrst",
    "ghp_abcdefghijklmnopqrstuvwxyz012345",
    "github_pat_11ABCDEFG0abcdefghijkl_mnop",
    "glpat-abcdefghijklmnopqrst",
    "xoxb-123456789012-abcdefghij",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_DEF-123",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----",
    "hf_abcdefghijklmnopqrstuvwxyz012345",
]


@given(TEXT, st.lists(SECRET, min_size=1, max_size=4), TEXT)
def test_no_known_secret_is_left(before, secrets, after):
    text = before + after.join(secrets) + after
    found = Redactor(secrets)(text)
    assert not [secret for secret in secrets if secret in found.replace(MARK, "\0")]


@given(TEXT, SECRET)
def test_nor_as_json_has_it(before, secret):
    found = Redactor([secret])(json.dumps({"text": before + secret}))
    assert json.dumps(secret)[1:-1] not in found.replace(MARK, "\0")


@given(TEXT, st.lists(SECRET, max_size=3))
def test_what_was_done_is_done(text, secrets):
    redact = Redactor(secrets)
    once = redact(text + "".join(secrets))
    assert redact(once) == once


@given(
    st.sampled_from(LOOKS),
    st.text(alphabet=" \n\t:,.;()äé", max_size=20),
    st.text(alphabet=" \n\t,.;()äé", max_size=20),
)
def test_what_looks_like_one_is_taken_out(secret, before, after):
    found = BY_LOOKS(f"{before}{secret}{after}")
    assert secret not in found
    assert MARK in found


@given(
    st.lists(
        st.sampled_from(
            [
                "the",
                "quick",
                "token",
                "of",
                "a",
                "password",
                "is",
                "key",
                "secret",
                "12",
                "src/app.py:",
                "fixed",
                "(4)",
                "tests",
            ]
        ),
        max_size=30,
    )
)
def test_plain_words_stay(words):
    text = " ".join(words)
    assert BY_LOOKS(text) == text


@given(
    st.recursive(
        TEXT | st.integers() | st.none() | st.booleans(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=12,
    )
)
def test_only_texts_change(value):
    found = Redactor(["nowhere-to-be-found"]).clean(value)
    assert type(found) is type(value)
    assume(isinstance(value, dict))
    assert list(found) == list(value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("fatal: https://me:hunter2!@host/x.git: no", "fatal: https://me:[secret]@host/x.git: no"),
        ("https://x-access-token-0123456789abc@github.com/a", "https://[secret]@github.com/a"),
        ("Authorization: Bearer abcdef0123456789xyz", "Authorization: Bearer [secret]"),
        ("API_KEY=abcdefgh12", "API_KEY=[secret]"),
        ('"client_secret": "s3 cr3t value"', '"client_secret": "[secret]"'),
        ("DB_PASSWORD: 'correct horse'", "DB_PASSWORD: '[secret]'"),
        ("tokens: 12345", "tokens: 12345"),
        ("git@github.com:owner/name.git", "git@github.com:owner/name.git"),
        ("http://127.0.0.1:8080/path@x", "http://127.0.0.1:8080/path@x"),
        ("password: short", "password: short"),
    ],
)
def test_where_it_stands(text, found):
    assert BY_LOOKS(text) == found


def test_secrets_of_an_environment():
    found = secrets_of(
        {
            "PATH": "/usr/bin:/bin/long",
            "API_KEY": "abcdefghij",
            "SHORT_TOKEN": "abc",
            "DATABASE_URL": "postgres://me:p%40ssw0rd-1@host/db",
        }
    )
    assert found == {"abcdefghij", "p%40ssw0rd-1", "p@ssw0rd-1"}


def test_a_long_text_takes_no_time():
    for text in (
        "a" * 300_000,
        "https://" * 30_000,
        "token=" * 30_000,
        "-----BEGIN PRIVATE KEY-----" * 3000,
        "eyJ" * 60_000,
    ):
        BY_LOOKS(text)
