"""
What holds of any text that secrets are taken out of.
"""

import base64
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
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOY\n-----END PGP PRIVATE KEY BLOCK-----",
    "SG.abcdefghijklmnop_qrstuv.abcdefghijklmnopqrstuvwxyz0123456789",
    "dop_v1_" + "0123456789abcdef" * 4,
    "shpat_" + "0123456789abcdef" * 2,
    "ya29.a0AfH6SMBabcdefghijklmnop",
    "xai-abcdefghijklmnopqrstuvwx",
    "gsk_abcdefghijklmnopqrstuvwx",
    "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQ",
    "dckr_pat_abcdefghijklmnopqrstuvwx",
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
        "--token " * 30_000,
        "-u a:" * 30_000,
        "Cookie:" * 30_000,
        "SG." * 60_000,
        "https://hooks.slack.com/services/" * 8000,
        "a_pass" * 30_000,
    ):
        BY_LOOKS(text)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("DB_PASS=hunter2hunter2", "hunter2hunter2"),
        ("export APP_PWD='hunter2hunter2'", "hunter2hunter2"),
        ("GITHUB_PAT: 0123456789abcdef", "0123456789abcdef"),
        ("SENTRY_DSN=https://0123456789@x.io/1", "https://0123456789@x.io/1"),
        ("AccountKey=MDEyMzQ1Njc4OWFiY2RlZg==;Endpoint=x", "MDEyMzQ1Njc4OWFiY2RlZg=="),
        ("mysql --password hunter2x -h db", "hunter2x"),
        ('vault login --token="hvs.0123456"', "hvs.0123456"),
        ("curl -u admin:hunter2 http://x", "hunter2"),
        ("curl --user=admin:hunter2 http://x", "hunter2"),
        ("Cookie: sid=0123456789; theme=dark", "sid=0123456789; theme=dark"),
        ("post to https://hooks.slack.com/services/T0001/B0001/abcdefghijkl", "T0001/B0001/abcdefghijkl"),
    ],
)
def test_what_stands_where_secrets_stand(text, secret):
    found = BY_LOOKS(text)
    assert secret not in found
    assert MARK in found
    assert BY_LOOKS(found) == found


@pytest.mark.parametrize(
    "text",
    [
        "the option --password is required here",
        "use --token <TOKEN>, or --secret",
        "docker run -u 1000:1000 image",
        "git push -u origin main:main",
        "12 tests passed: bypass the compass",
        "PWD=/home/dev/project",
        "sort -u names.txt; cookie jar",
        "see gsk_x, SG.a.b and shpat_12",
    ],
)
def test_prose_and_honest_commands_stay_as_they_are(text):
    assert BY_LOOKS(text) == text


@given(SECRET)
def test_nor_as_a_header_or_a_dump_has_it(secret):
    data = secret.encode("utf-8", "surrogatepass")
    for shown in (base64.b64encode(data), base64.urlsafe_b64encode(data), data.hex().encode()):
        text = Redactor([secret])(f"it is {shown.decode()} here")
        assert shown.decode().rstrip("=")[:-1] not in text


def test_names_of_variables_that_hold_secrets():
    environ = {
        "DB_PASS": "hunter2hunter2",
        "PWD": "/home/dev/project",
        "OLDPWD": "/home/dev/elsewhere",
        "SSH_PAT": "abcdefgh1",
    }
    assert secrets_of(environ) == {"hunter2hunter2", "abcdefgh1"}


def test_what_stands_in_any_text_is_no_secret():
    environ = {
        "POSTGRES_PASSWORD": "postgres",
        "DB_PASSWORD": "Password1",
        "GOOGLE_APPLICATION_CREDENTIALS": "/home/dev/.config/gcloud.json",
        "PGPASSFILE": "~/.pgpass-of-work",
        "AWS_SECRET_ACCESS_KEY": "/abcdef0123/4567",
        "DEPLOY_CREDENTIALS": "not-a-path/1",
    }
    assert secrets_of(environ) == {"/abcdef0123/4567", "not-a-path/1"}
