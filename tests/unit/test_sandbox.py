"""
What a sandbox is made of, and what is in an agent's environment inside.
"""

from __future__ import annotations

import os

import pytest

from orchestrd.domain.containment import in_words
from orchestrd.domain.model import Containment, Credentials, Network
from orchestrd.runner.gateway import Refusal, allowed, rewritten, target
from orchestrd.runner.sandbox import PORT, PORT_MARK, Ground, account, authority, contained, inside, shown_by, wrap
from orchestrd.runner.toolchain import java, program
from orchestrd.runner.users import users

ENV = {"PATH": "/usr/bin", "HOME": "/home/dev", "ANTHROPIC_API_KEY": "sk-real", "HTTPS_PROXY": "http://corp:1"}
GROUND = Ground(
    tree="/h/var/ws/tree",
    var="/h/var",
    system=("/usr",),
    links=(("/bin", "usr/bin"),),
    readable=("/opt/tool/bin", "/opt"),
    writable=("/srv/cache",),
    inner=("/h/var/ws/tree", "/h/var/ws"),
    repository=(("/h/var/git/view.git", "/h/var/git/work.git"),),
    moved=(("/h/var/logs/1/questions", "/h/var/questions/day"),),
    sealed=("/h/var/ws/tree/.git",),
)


def held(network=Network.FULL, credentials=Credentials.ENV):
    return Containment(sandbox=True, network=network, credentials=credentials)


def cell(containment, env=ENV, hosts=()):
    return inside(env, containment, home="/h/var/ws/home", login="/home/dev/.claude", hosts=hosts, token="run-1")


def place(words, *pair):
    return next(i for i in range(len(words)) if tuple(words[i : i + len(pair)]) == pair)


@pytest.mark.parametrize("known", [True, False])
def test_who_is_asked_for_its_home_says_the_one_inside(tmp_path, known):
    """
    One that only a directory service knows is in no file; of the others nothing is changed.
    """
    me = os.getuid()
    own = f"dév:x:{me}:7:Dev,,,:/home/dev:/bin/zsh\n" if known else ""
    text = f"other:x:{me + 1}:9::/home/other:/bin/sh\n{own}+::::::\n# note\n"
    (tmp_path / "passwd").write_text(text, encoding="latin-1")
    told = users("/h/var/ws/home", tmp_path / "passwd").decode("latin-1")
    if known:
        assert told == text.replace("/home/dev", "/h/var/ws/home")
    else:
        assert told == f"{text}agent:x:{me}:{os.getgid()}::/h/var/ws/home:/bin/sh\n"
    assert users("/h", tmp_path / "none").decode() == f"agent:x:{me}:{os.getgid()}::/h:/bin/sh\n"


@pytest.mark.parametrize("beside", [False, True], ids=["a person's own", "the installer's"])
def test_of_a_script_only_the_file_and_its_packages_are_shown(tmp_path, beside):
    script, link = tmp_path / "home" / "claude", tmp_path / "bin" / "claude"
    for path in (script, link):
        path.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    link.symlink_to(script)
    packages = script.with_name("node_modules")
    if beside:
        packages.mkdir()
    assert program(str(link)) == [str(link), str(script), *([str(packages)] if beside else [])]


def test_of_a_script_in_a_package_all_packages_are_shown(tmp_path):
    script = tmp_path / "lib/node_modules/@anthropic-ai/claude-code/node_modules/x/cli.js"
    script.parent.mkdir(parents=True)
    script.write_text("#!/usr/bin/env node\n")
    assert program(str(script)) == [str(script), str(script), str(tmp_path / "lib/node_modules")]


def test_of_a_binary_only_itself_is_shown(tmp_path):
    (tmp_path / "claude").write_bytes(b"\x7fELF")
    (tmp_path / "node_modules").mkdir()
    assert set(program(str(tmp_path / "claude"))) == {str(tmp_path / "claude")}


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (b'{"oauthAccount": {"a": 1}, "mcpServers": {"x": {}}, "projects": {}}', b'{"oauthAccount":{"a": 1}}'),
        (b'{"mcpServers": {}}', b"{}"),
        (b"", b"{}"),
        (b"[1]", b"{}"),
        (b"[" * 100_000, b"{}"),
    ],
)
def test_an_agents_cli_is_told_whose_account_it_is_and_nothing_else(state, told):
    assert account(state) == told


def test_the_profile():
    words = wrap("/usr/bin/bwrap", GROUND, ["claude", "-p"])
    assert words[0] == "/usr/bin/bwrap"
    assert words[-3:] == ["--", "claude", "-p"]
    for wanted in (
        "--unshare-user",
        "--disable-userns",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--new-session",
    ):
        assert wanted in words
    assert place(words, "--cap-drop", "ALL")
    assert not {"--unshare-net", "--die-with-parent", "--setenv"} & set(words)
    assert {"--unshare-net", "--die-with-parent"} <= set(
        wrap("bwrap", Ground(tree="/t", var="/v", networked=False), ["x"], tied=True)
    )


def test_what_protects_is_mounted_last():
    words = wrap("bwrap", GROUND, ["x"])
    order = [
        place(words, "--tmpfs", "/tmp"),
        place(words, "--ro-bind-try", "/opt", "/opt"),
        place(words, "--ro-bind-try", "/opt/tool/bin", "/opt/tool/bin"),
        place(words, "--bind", "/srv/cache", "/srv/cache"),
        place(words, "--tmpfs", "/h/var"),
        place(words, "--ro-bind", "/h/var/git/view.git", "/h/var/git/work.git"),
        place(words, "--bind", "/h/var/ws", "/h/var/ws"),
        place(words, "--bind", "/h/var/ws/tree", "/h/var/ws/tree"),
        place(words, "--bind", "/h/var/logs/1/questions", "/h/var/questions/day"),
        place(words, "--ro-bind", "/h/var/ws/tree/.git", "/h/var/ws/tree/.git"),
        place(words, "--remount-ro", "/"),
    ]
    assert order == sorted(order)


def test_with_the_whole_network_and_the_key_in_the_environment_nothing_else_changes():
    env, gate = cell(held())
    assert gate is None
    assert env == {**ENV, "HOME": "/h/var/ws/home"}


@pytest.mark.parametrize(
    ("name", "header"), [("ANTHROPIC_API_KEY", "x-api-key"), ("ANTHROPIC_AUTH_TOKEN", "authorization")]
)
@pytest.mark.parametrize("network", Network)
def test_a_key_stays_outside(name, header, network):
    env, gate = cell(
        held(network, Credentials.PROXY), {"PATH": "/usr/bin", name: "sk-real", "CLAUDE_CODE_OAUTH_TOKEN": "sk-too"}
    )
    assert "sk-real" not in repr(env)
    assert "sk-too" not in repr(env)
    assert env[name] == "run-1"
    port = PORT_MARK if network is Network.FULL else PORT
    assert env["ANTHROPIC_BASE_URL"] == f"http://127.0.0.1:{port}"
    assert (gate.header, gate.token, gate.value, gate.own) == (header, "run-1", "sk-real", {})
    assert gate.base == "https://api.anthropic.com"


def test_without_a_network_the_cli_has_a_way_to_the_api():
    env, gate = cell(held(Network.API_ONLY), hosts=("pypi.org",))
    assert env["HTTPS_PROXY"] == env["http_proxy"] == f"http://127.0.0.1:{PORT}"
    assert "ANTHROPIC_BASE_URL" not in env
    assert gate.hosts == ("api.anthropic.com:443", "pypi.org")
    env, gate = cell(held(Network.OFF), hosts=("pypi.org",))
    assert not any("PROXY" in name.upper() for name in env)
    assert env["ANTHROPIC_BASE_URL"] == f"http://127.0.0.1:{PORT}"
    assert gate.hosts == ()
    assert gate.own == {"x-api-key": ENV["ANTHROPIC_API_KEY"]}
    # A gateway of the person's on loopback is not there inside.
    env, gate = cell(held(Network.API_ONLY), {**ENV, "ANTHROPIC_BASE_URL": "http://127.0.0.1:8080/v"})
    assert (env["ANTHROPIC_BASE_URL"], gate.base) == (f"http://127.0.0.1:{PORT}", "http://127.0.0.1:8080/v")
    assert authority(gate.base) == "127.0.0.1:8080"


def test_a_key_that_is_kept_goes_through_no_tunnel_and_comes_back_in_no_answer():
    key = "sk-real-0123"
    _, gate = cell(held(Network.API_ONLY, Credentials.PROXY), {**ENV, "ANTHROPIC_API_KEY": key}, hosts=("pypi.org",))
    assert gate.hosts == ("pypi.org",)
    assert {key, key.encode().hex()} <= {*gate.hidden}
    # A word of any text cannot be told from one.
    _, gate = cell(held(Network.OFF, Credentials.PROXY), {**ENV, "ANTHROPIC_API_KEY": "placeholder"})
    assert gate.hidden == ()


@pytest.mark.parametrize(
    ("env", "shown"),
    [
        ({}, {}),
        ({"ANTHROPIC_API_KEY": "k", "ANTHROPIC_AUTH_TOKEN": "t"}, {"x-api-key": "k", "authorization": "t"}),
        ({"CLAUDE_CODE_OAUTH_TOKEN": "o"}, {"authorization": "o"}),
        ({"ANTHROPIC_API_KEY": "k", "ANTHROPIC_CUSTOM_HEADERS": "X-Team: a\nauthorization: Basic b"}, {}),
        ({"ANTHROPIC_API_KEY": "k", "ANTHROPIC_CUSTOM_HEADERS": "X-Team: a"}, {"x-api-key": "k"}),
    ],
)
def test_which_credentials_are_the_agents_own(env, shown):
    assert shown_by(env) == shown


def test_a_login_cannot_be_kept_from_the_cli():
    found = contained(works="", network=Network.FULL, credentials=Credentials.PROXY, env={"PATH": "/usr/bin"})
    assert found.credentials is Credentials.LOGIN
    assert "can read and change it" in in_words(found)
    env, gate = cell(found, {"HOME": "/home/dev"})
    assert (env["CLAUDE_CONFIG_DIR"], gate) == ("/home/dev/.claude", None)


def test_what_does_not_hold_is_said():
    found = contained(works="bwrap is not installed", network=Network.OFF, credentials=Credentials.PROXY, env=ENV)
    assert (found.sandbox, found.network, found.credentials) == (False, Network.FULL, Credentials.ENV)
    assert in_words(found) == "no sandbox: bwrap is not installed"
    token = {"CLAUDE_CODE_OAUTH_TOKEN": "x"}
    found = contained(works="", network=Network.OFF, credentials=Credentials.PROXY, env=token)
    assert found.credentials is Credentials.ENV
    assert "no API key" in found.why
    assert contained(works="", network=Network.OFF, credentials=Credentials.PROXY, env=ENV) == held(
        Network.OFF, Credentials.PROXY
    )


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("pypi.org", 443, True),
        ("PyPI.org.", 80, True),
        ("pypi.org", 22, False),
        ("evilpypi.org", 443, False),
        ("pypi.org.evil.com", 443, False),
        ("files.npmjs.org", 443, True),
        ("npmjs.org", 443, False),
        ("evilnpmjs.org", 443, False),
        ("db.local", 5432, True),
        ("db.local", 443, False),
        ("", 443, False),
    ],
)
def test_which_hosts_are_reached(host, port, expected):
    assert allowed(host, port, ["pypi.org", "*.npmjs.org", "db.local:5432"]) is expected


def test_what_a_proxy_is_asked_for():
    hosts = ["pypi.org", "127.0.0.1:8080"]
    assert target(["CONNECT", "pypi.org:443", "HTTP/1.1"], hosts) == ("pypi.org", 443, "")
    assert target(["GET", "http://127.0.0.1:8080/a?b", "HTTP/1.1"], hosts) == ("127.0.0.1", 8080, "/a?b")
    assert target(["POST", "/v1/messages", "HTTP/1.1"], hosts) is None
    for line in (
        "CONNECT evil.org:443 HTTP/1.1",
        "GET https://pypi.org/ HTTP/1.1",
        "CONNECT pypi.org HTTP/1.1",
        "GET",
        "",
    ):
        with pytest.raises(Refusal):
            target(line.split(), hosts)


def test_the_key_takes_the_place_of_the_token():
    orders = {
        "header": "x-api-key",
        "token": "run-1",
        "value": "sk-real",
        "own": {},
        "hidden": [],
        "base": "",
        "hosts": [],
        "listen": "",
        "ca": "",
    }
    head = b"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Api-Key: run-1\r\nConnection: keep-alive\r\nContent-Length: 2"
    found = rewritten(head, "POST /v1/messages HTTP/1.1", "api.anthropic.com", orders)
    assert found == (
        b"POST /v1/messages HTTP/1.1\r\nHost: api.anthropic.com\r\nConnection: close\r\nContent-Length: 2\r\n"
        b"x-api-key: sk-real\r\nAccept-Encoding: identity\r\n\r\n"
    )
    for wrong in (
        head.replace(b"run-1", b"run-2"),
        head.replace(b"X-Api-Key", b"Authorization"),
        head.replace(b"X-Api-Key", b"X-Other"),
    ):
        with pytest.raises(Refusal):
            rewritten(wrong, "POST / HTTP/1.1", "h", orders)


def test_a_java_is_shown_its_settings_and_no_passwords(tmp_path):
    for name in ("java-17-openjdk/security/java.security", "java-17-openjdk/jvm-amd64.cfg", "java-21-openjdk/net.properties",
                 "java-17-openjdk/management/jmxremote.password", "maven/settings.xml"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    shown = [path.removeprefix(f"{tmp_path}/") for path in java(tmp_path)]
    assert shown == ["java-17-openjdk/jvm-amd64.cfg", "java-17-openjdk/security", "java-21-openjdk/net.properties"]
