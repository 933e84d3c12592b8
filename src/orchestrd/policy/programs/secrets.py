"""
Programs that show secrets: the environment, password stores, secret managers.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.secrecy import is_secret_variable
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE

_STORES: dict[str, frozenset[str]] = {
    # program -> first words that show no secret
    "vault": o.words("status version --version -version server login-help path-help"),
    "op": o.words("--version whoami account"),
    "bw": o.words("--version status"),
    "bws": o.words("--version"),
    "pass": o.words("--version version git ls list"),
    "gopass": o.words("--version version ls list"),
    "lpass": o.words("--version status"),
    "keepassxc-cli": o.words("--version"),
    "secret-tool": frozenset(),
    "security": frozenset(),
    "keyring": o.words("--help --list-backends"),
    "gnome-keyring-daemon": frozenset(),
    "kwallet-query": frozenset(),
    "chamber": o.words("version --version"),
    "doppler": o.words("--version run configure setup me"),
    "infisical": o.words("--version run init"),
    "sops": o.words("--version -e --encrypt updatekeys"),
    "age-keygen": o.words("--version"),
    "gcore": frozenset(),
    "age": o.words("--version -e -r -R --encrypt"),
    "gpg": o.words("--version --verify --list-keys -k --fingerprint --list-packets"),
    "gpg2": o.words("--version --verify --list-keys"),
    "ssh-add": frozenset(),
    "ssh-keygen": o.words("-F -H -l"),
    "ssh-agent": frozenset(),
    "ansible-vault": frozenset(),
    "teller": frozenset(),
    "envchain": frozenset(),
    "aws-vault": frozenset(),
    "saml2aws": frozenset(),
    "credstash": frozenset(),
    "berglas": frozenset(),
    "summon": frozenset(),
    "git-crypt": o.words("status --version"),
    "git-secret": o.words("whoknows list --version"),
    "docker-credential-helper": frozenset(),
    "docker-credential-desktop": frozenset(),
    "docker-credential-pass": frozenset(),
    "git-credential-store": frozenset(),
    "git-credential-cache": frozenset(),
    "eyaml": frozenset(),
    "blackbox_cat": frozenset(),
    "transcrypt": frozenset(),
    "dotenvx": o.words("run --version"),
    "dotenv-vault": o.words("--version"),
    "envsubst": o.words("-v --variables --version"),
    "git-credential-manager": frozenset(),
    "pass-cli": frozenset(),
    "rbw": o.words("--version"),
    "akv": frozenset(),
    "step": o.words("version certificate"),
    "mkcert": o.words("-CAROOT"),
    "certutil": frozenset(),
    "keytool": o.words("-list -printcert"),
    "pwsafe": frozenset(),
    "enpass-cli": frozenset(),
    "dashlane": frozenset(),
    "dcli": frozenset(),
    "keychain": frozenset(),
    "yubikey-agent": frozenset(),
    "ykman": o.words("info list --version"),
    "gnupg": frozenset(),
    "mimikatz": frozenset(),
    "lazagne": frozenset(),
    "trufflehog": frozenset(),
}


def shows_environment(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``printenv``: one harmless variable, not all of them.
    """
    names = o.plain(call.argv[1:])
    if not names or any(is_secret_variable(name) for name in names):
        inquiry.object("secret", call, "the environment's secrets would be shown")
    return HOLE


def store(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    A store of secrets.
    """
    words = call.argv[1:]
    if call.program == "envsubst":
        return _substitutes(inquiry, call)
    if set(words[:3]) & _STORES[call.program] or set(words) & {"--help", "-h"}:
        return None
    inquiry.object("secret", call, f"`{call.program}` gives out secrets")
    return HOLE


def _substitutes(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``envsubst``: the variables that its text names are shown.
    """
    if any(
        is_secret_variable(name) for name in re.findall(r"\$\{?(\w+)", (call.stdin or "") + " ".join(call.argv[1:]))
    ):
        inquiry.object("secret", call, "the environment's secrets would be shown")
    return HOLE


def processes(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``ps`` with the environment of processes.
    """
    if (
        any(re.fullmatch(r"[a-zA-Z]*e[a-zA-Z]*", word) and not word.startswith("-") for word in call.argv[1:2])
        or "-E" in call.argv
    ):
        inquiry.object("secret", call, "the environment of processes would be shown")
    return None


def deciphers(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``openssl``: keys are not read.
    """
    for path in o.options(call.argv[1:], "-in", "-inkey", "-key"):
        inquiry.use(path, call)
    for path in o.options(call.argv[1:], "-out", "-keyout"):
        inquiry.use(path, call, writes=True)
    return None


def loads(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``node --env-file=.env -p process.env.X``: a program in the command line is there to see what the application only needs.
    """
    if any("env" in text for text in o.options(call.argv[1:], "-e", "-p", "--eval", "--print")):
        for path in o.options(call.argv[1:], "--env-file", "--env-file-if-exists"):
            inquiry.use(path, call)
    return None


def reveals(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``bin/console secrets:reveal``, ``artisan env:decrypt``.
    """
    if any(re.fullmatch(r"secrets:(?:reveal|decrypt-to-local)|env:decrypt", word) for word in call.argv[1:]):
        inquiry.object("secret", call, "secrets would be deciphered")
    return None


def shows_configuration(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Subcommands of ordinary tools that print credentials.
    """
    text = " ".join([call.program, *call.argv[1:]])
    if _SHOWING.search(text):
        inquiry.object("secret", call, "credentials would be shown")
        return HOLE
    return None


_SHOWING = re.compile(
    r"""
    ^(?:npm[ ](?:config|c|get).*(?:_auth|token|password|:_)|npm[ ]token|yarn[ ]config[ ]get[ ]npm.*(?:token
    |auth|Token|Auth)|pip[ ]config[ ](?:get|debug|list).*(?:password|token)|heroku[ ](?:config
    |auth:token)\b|fly[ ](?:secrets|auth[ ]token|tokens)\b|flyctl[ ](?:secrets|auth[ ]token|tokens)\b
    |vercel[ ](?:env[ ]pull|env[ ]ls|tokens?)|netlify[ ]env:(?:get|list)|railway[ ]variables
    |supabase[ ](?:secrets|status[ ].*env|projects[ ]api-keys)|wrangler[ ](?:secret|whoami[ ]--token)
    |stripe[ ]config|terraform[ ](?:output.*(?:-json|-raw)|state[ ](?:pull|show))|tofu[ ](?:state[ ]pull
    |output)|pulumi[ ](?:config.*--show-secrets|stack[ ]output[ ]--show-secrets)|kubectl[ ](?:.*\s)?(?:get
    |describe|edit)\s+(?:-\S+\s+(?:\S+\s+)?)*secrets?\b|kubectl[ ]config[ ]view.*--raw
    |kubectl[ ]create[ ]token|oc[ ](?:whoami[ ]-t|get[ ]secrets?)|helm[ ]get[ ](?:values|all)
    |docker[ ](?:inspect[ ].*Env|secret)
    |docker(?:-compose|[ ]compose)[ ]config(?!.*(?:[ ]-q|--quiet|--services|--images|--volumes|--profiles|--hash|--no-interpolate))
    |(?:bin/)?rails[ ]encrypted:|symfony[ ]console[ ]secrets:(?:reveal|list[ ]--reveal|decrypt)|argocd[ ]account|rails[ ]credentials:|bin/rails[ ]credentials:
    |rails[ ]secrets:|rails[ ]secret\b|composer[ ]config.*(?:auth|token)|cargo[ ]login
    |poetry[ ]config[ ].*(?:token|password|http-basic)|ansible[ ].*vault|doctl[ ]auth|linode-cli[ ].*token
    |hcloud[ ]context|eas[ ](?:secret|env:pull|env:list)|expo[ ].*secret|firebase[ ](?:login:ci
    |functions:config:get|functions:secrets)|gh[ ]secret|circleci[ ].*token|travis[ ](?:token|encrypt)
    |aws[ ]eks[ ]get-token|aws[ ]ecr[ ]get-login|aws[ ]sts[ ]|az[ ]ad[ ]sp[ ]create
    |az[ ]account[ ]get-access-token|az[ ]acr[ ]login|gcloud[ ]auth[ ](?:print|application-default)
    |nomad[ ]var[ ]get|consul[ ]kv[ ]get.*(?:secret|password|token)|etcdctl[ ]get.*(?:secret|password
    |token)|convex[ ]env[ ](?:get|list)|shopify[ ]auth|twilio[ ](?:profiles|api:.*token)|minikube[ ].*token
    |hasura[ ].*secret)
    """,
    re.VERBOSE,
)

HANDLERS: dict[str, Handler] = {
    "ps": processes,
    "printenv": shows_environment,
    **dict.fromkeys(_STORES, store),
    "openssl": deciphers,
    **o.each("node bun", loads),
    **o.each("console artisan", reveals),
    **o.each(
        """
        npm yarn pip pip3 heroku fly flyctl vercel netlify railway supabase wrangler stripe terraform tofu
        pulumi kubectl oc helm docker argocd rails composer cargo poetry doctl linode-cli hcloud eas expo
        docker-compose symfony firebase circleci travis aws az gcloud nomad consul etcdctl convex shopify twilio minikube hasura
        ansible
        """,
        shows_configuration,
    ),
}
