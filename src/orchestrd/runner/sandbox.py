"""
What an agent's sandbox is: bubblewrap's command line, and the environment inside.

Pure: what there is on this machine is told by `orchestrd.runner.toolchain`, whether it works by `orchestrd.runner.probe`.
Outside facts: bubblewrap 0.8.0, bwrap(1); Claude Code 2.1.330 runs whole inside.

Why as it is:

* ``--unshare-user --disable-userns --cap-drop ALL``: without them a root agent unmounts what protects it.
* No ``--die-with-parent``: it kills the tree the moment the agent has ended, so that nothing it left could end in good order or be
  told of, and an agent whose shim died could not finish its turn.  The shim is a subreaper and bubblewrap's inner process comes
  to it when the outer one ends; shim and sweep find everything by the run's mark, inside as outside.
* No ``--clearenv``: the shim starts bubblewrap with the allow-listed environment and nothing else.  As arguments the variables,
  a key among them, would be in the process table for every user to read.
* The order of mounts: what may be read, a tree that is the person's own project, then the home's ``var`` as an empty folder, what
  of it the agent needs, and last what lies in writable folders and stays read-only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from orchestrd.domain.model import Containment, Credentials, Network
from orchestrd.redaction import forms, secrets_of

FIXED = ("--unshare-user", "--disable-userns", "--cap-drop", "ALL", "--unshare-pid", "--unshare-ipc", "--unshare-uts")
SYSTEM = ("/usr", "/nix/store", "/gnu/store")
"""Where programs lie that everybody may read."""
ETC = (
    "passwd",
    "group",
    "nsswitch.conf",
    "hosts",
    "host.conf",
    "gai.conf",
    "resolv.conf",
    "services",
    "protocols",
    "localtime",
    "timezone",
    "mime.types",
    "os-release",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "pki/tls/certs",
    "pki/ca-trust/extracted",
    "ssl/certs",
    "ssl/cert.pem",
    "ssl/openssl.cnf",
    "fonts",
    "magic",
    "terminfo",
    "manpath.config",
    "man_db.conf",
    "groff",
    "maven/m2.conf",
    "maven/logging",
)
"""What of ``/etc`` programs need and that holds no secret."""
ENTRANCE = "/run/orchestrd"
"""Our folder inside: the way to the gateway and the program that leads there."""
PORT = 41318
"""On loopback inside, the way out of a sandbox without a network."""
PORT_MARK = "@GATEWAY_PORT@"
"""In the environment of a spec: the port of the gateway, which the shim knows once it has started one."""
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
KEYS = {"ANTHROPIC_API_KEY": "x-api-key", "ANTHROPIC_AUTH_TOKEN": "authorization"}
"""Variables that hold a credential for the API, and the header that it is shown in (Claude Code 2.1.330)."""
OAUTH = "CLAUDE_CODE_OAUTH_TOKEN"
"""Shown as `KEYS` of the ``authorization`` header are, and not to be kept outside."""
CUSTOM = "ANTHROPIC_CUSTOM_HEADERS"
"""``Name: value`` lines that the CLI adds to its requests, in place of its own."""
LOGINS = (*KEYS, OAUTH, "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX")
"""With one of these the CLI needs no login of its own."""
API = "https://api.anthropic.com"
CLI_LOGIN, CLI_STATE = ".credentials.json", ".claude.json"
"""Where the CLI has its login, in its folder, and what it knows beside that (Claude Code 2.1.330)."""
ACCOUNT = ("oauthAccount", "primaryApiKey", "customApiKeyResponses", "userID")
"""What of the latter says who is logged in.  The rest is the person's own: servers, projects, what they were asked."""


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a sandbox is made of, absolute paths all: *system* and *links* (path → target) make the root, *readable* is shown as it
    is, *writable* too, *outer* is a tree that does not lie in *var*, which is hidden; *inner* lies in it, *moved* is
    shown elsewhere (source → place), and *sealed* lies in what is writable and is not.  *networked* is whether the host's
    network is shared; *shown* is what of ours is only read (source → place): the way out at `ENTRANCE`, and the list of users.
    """

    tree: str
    var: str
    system: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()
    repository: tuple[tuple[str, str], ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
    sealed: tuple[str, ...] = ()
    networked: bool = True
    shown: tuple[tuple[str, str], ...] = ()


def wrap(bwrap: str, ground: Ground, command: Sequence[str], *, tied: bool = False) -> list[str]:
    """
    The command line that runs *command* in *ground*; *tied*: it dies with the thread that started it.
    """
    words = [bwrap, *FIXED, "--new-session"]
    words += ["--die-with-parent"] if tied else []
    words += [] if ground.networked else ["--unshare-net"]
    for path in ground.system:
        words += ["--ro-bind", path, path]
    for path, leads in ground.links:
        words += ["--symlink", leads, path]
    for name in ETC:
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dir", "/var/tmp", "--dir", "/run"]  # noqa: S108
    for path in _outer_first(ground.readable):
        words += ["--ro-bind-try", path, path]
    for path in _outer_first(ground.writable):
        words += ["--bind", path, path]
    words += ["--tmpfs", ground.var]
    for source, place in ground.repository:
        words += ["--ro-bind", source, place]
    for path in _outer_first(ground.inner):
        words += ["--bind", path, path]
    for source, place in ground.moved:
        words += ["--bind", source, place]
    for path in _outer_first(ground.sealed):
        words += ["--ro-bind", path, path]
    for source, place in ground.shown:
        words += ["--ro-bind", source, place]
    words += ["--remount-ro", ground.var, "--remount-ro", "/", "--chdir", ground.tree, "--"]
    return [*words, *command]


def _outer_first(paths: Sequence[str]) -> list[str]:
    """
    Each once, a folder before what lies in it.
    """
    return sorted(dict.fromkeys(paths), key=lambda path: (path.count("/"), path))


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the run's gateway is told: see `orchestrd.runner.gateway.Orders`.
    """

    listen: str
    base: str
    hosts: tuple[str, ...] = ()
    header: str = ""
    token: str = ""
    value: str = ""
    own: dict[str, str] = {}
    hidden: tuple[str, ...] = ()
    ca: str = ""


def key_in(env: Mapping[str, str]) -> str | None:
    """
    The variable of *env* whose credential can be kept from the agent; None without one.
    """
    return next((name for name in KEYS if env.get(name)), None)


def shown_by(env: Mapping[str, str]) -> dict[str, str]:
    """
    The credentials that an agent with the environment *env* shows the API, header → credential; empty where that is not known.
    """
    found = {header: env[name] for name, header in {OAUTH: "authorization", **KEYS}.items() if env.get(name)}
    named = {line.partition(":")[0].strip().lower() for line in env.get(CUSTOM, "").splitlines()}
    return {} if named & set(KEYS.values()) else found


def contained(
    *, works: str, network: Network, credentials: Credentials, env: Mapping[str, str], wanted: bool = True
) -> Containment:
    """
    What holds for an agent with the environment *env* that is started now.  *works* is why there is no sandbox, empty when there is
    one; not *wanted* when the settings turn it off.
    """
    login = not any(env.get(name) for name in LOGINS)
    if works:
        kept = Credentials.LOGIN if login else Credentials.ENV
        return Containment(sandbox=False, wanted=wanted, why=works, network=Network.FULL, credentials=kept)
    if login:
        why = "the CLI's own login is used, so agents can read and change it"
        return Containment(sandbox=True, why=why, network=network, credentials=Credentials.LOGIN)
    if credentials is Credentials.PROXY and key_in(env) is None:
        why = "no API key is set that could be kept from agents"
        return Containment(sandbox=True, why=why, network=network, credentials=Credentials.ENV)
    return Containment(sandbox=True, network=network, credentials=credentials)


def inside(
    env: Mapping[str, str], held: Containment, *, home: str, login: str, hosts: Sequence[str], token: str
) -> tuple[dict[str, str], Gate | None]:
    """
    The environment of an agent that is *held* so, and what its gateway is told, if it needs one.  *env* is what the settings let
    through; *home* the agent's own home, *login* the folder that its CLI has where a login is needed; *token* stands for a key.
    """
    found = {name: value for name, value in env.items() if name not in ("HOME", "CLAUDE_CONFIG_DIR")}
    found["HOME"] = home
    if held.credentials is Credentials.LOGIN:
        found["CLAUDE_CONFIG_DIR"] = login
    base = (env.get("ANTHROPIC_BASE_URL") or API).rstrip("/")
    keeps = held.credentials is Credentials.PROXY
    if held.network is Network.FULL and not keeps:
        return found, None
    tunnels = held.network is Network.API_ONLY
    listen, port = ("tcp", PORT_MARK) if held.network is Network.FULL else ("api.sock", str(PORT))
    if held.network is not Network.FULL:
        found = {name: value for name, value in found.items() if name.upper() not in PROXIES}
    if tunnels:
        proxy = f"http://127.0.0.1:{PORT}"
        found |= {name: proxy for known in ("HTTPS_PROXY", "HTTP_PROXY") for name in (known, known.lower())}
        found |= dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1,::1")
    if keeps or not (tunnels and base.startswith("https://")):
        # Else the CLI speaks to the API itself, through a tunnel.
        found["ANTHROPIC_BASE_URL"] = f"http://127.0.0.1:{port}"
    gate = Gate(
        listen=listen,
        base=base,
        # A key that is kept goes nowhere but through us, and nothing else to where it belongs.
        hosts=(*((authority(base),) if tunnels and not keeps else ()), *(hosts if tunnels else ())),
        own={} if keeps else shown_by(env),
        ca=env.get("NODE_EXTRA_CA_CERTS") or env.get("SSL_CERT_FILE") or "",
    )
    name = key_in(env)
    if keeps and name is not None:
        hidden = sorted({form for secret in secrets_of({name: env[name]}) for form in forms(secret)})
        gate = msgspec.structs.replace(gate, header=KEYS[name], token=token, value=env[name], hidden=tuple(hidden))
        found = {known: value for known, value in found.items() if known not in LOGINS}
        found[name] = token
    return found, gate


def authority(base: str) -> str:
    """
    ``host:port`` of an URL.
    """
    parts = urlsplit(base)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def account(state: bytes) -> bytes:
    """
    What an agent's CLI is told of *state*, the person's `CLI_STATE`.
    """
    try:
        known = msgspec.json.decode(state, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        known = {}
    return msgspec.json.encode({name: known[name] for name in ACCOUNT if name in known})


def without_key(env: Mapping[str, str]) -> dict[str, str]:
    """
    *env* for commands that have nothing to ask the API.
    """
    return {name: value for name, value in env.items() if name not in LOGINS}
