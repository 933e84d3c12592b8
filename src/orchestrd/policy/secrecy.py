"""
Which paths and variables hold secrets, by their names.
"""

from __future__ import annotations

import re

from orchestrd.policy.shell.patterns import fitting
from orchestrd.policy.tables import words

_EXAMPLE = re.compile(
    r"\.(?:example|sample|template|dist|defaults?|tpl|md|rst|pub)$|(?:example|sample|template)s?\b", re.IGNORECASE
)
_SECRET_FILE = re.compile(
    r"""
    (?:^|/)(?:
      # environments and settings of tools
      \.env(?:rc)?(?:\.[\w.-]+)? | \.dev\.vars(?:\.\w+)? | \.env_\w+ | [\w-]+\.env | env\.(?:local|prod\w*|secret\w*)
    | \.netrc | _netrc | \.pgpass | \.my\.cnf | \.npmrc | \.yarnrc(?:\.yml)? | \.pypirc | \.git-credentials | \.boto
    | \.s3cfg | \.htpasswd | \.dockercfg | \.vault-token | \.terraformrc | credentials\.tfrc\.json
    | terraform\.tfstate(?:\.\w+)? | [\w.-]*\.auto\.tfvars | [\w.-]*\.tfvars | hosts\.yml | \.erlang\.cookie
      # files that are named after what they hold
    | secrets?(?:[.-][\w.-]*)?\.(?:ya?ml|json|toml|ini|env|txt|properties|enc) | [\w.-]*secrets?\.(?:ya?ml|json|toml|env)
    | (?:service[-_]?account|gcp[-_]?key|firebase[-_]?adminsdk|client_secret)[\w.-]*\.json
    | credentials?(?:\.(?:json|ya?ml|toml|ini|csv|db|enc|yml\.enc))? | application_default_credentials\.json
    | auth\.json | \.credentials(?:\.json)? | tokens?\.(?:json|txt|ya?ml) | \.token
    | passwords?\.(?:txt|json|csv|ya?ml)
      # keys
    | master\.key | [\w.-]*\.kdbx? | wallet\.dat | key\.json | id_(?:rsa|dsa|ecdsa|ed25519)(?:_\w+)?
    | [\w.-]+\.(?:pem|key|p12|pfx|jks|keystore|ppk|asc|gpg|kubeconfig) | kubeconfig | private[-_]?key[\w.-]*
    | krb5\.keytab | [\w.-]*\.keytab
      # the system's, and what was typed
    | shadow | gshadow | sudoers | \.bash_history | \.zsh_history | \.psql_history | \.mysql_history
    | \.python_history | environ
    )$
    """,
    re.VERBOSE,
)
_SECRET_FOLDER = re.compile(
    r"""
    (?:^|/)(?:\.ssh|\.aws|\.gnupg|\.kube|\.azure|\.config/(?:gcloud|gh|glab-cli|hub|doctl|op|sops|rclone)|\.docker
    |\.password-store|\.local/share/keyrings|\.mozilla|\.config/(?:google-chrome|chromium)|\.codex
    |\.config/github-copilot|certs|private-keys-v1\.d|Keychains|run/secrets)(?:/|$)
    """,
    re.VERBOSE,
)
_CANDIDATES = (
    ".env",
    ".env.local",
    ".netrc",
    ".npmrc",
    ".pgpass",
    ".pypirc",
    "id_rsa",
    "id_ed25519",
    "credentials",
    "server.key",
    "key.pem",
)
_VARIABLE = re.compile(
    r"""
    (?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|PASS|PWD|APIKEY|PAT|CREDENTIALS?|DSN|COOKIE|AUTH|BEARER)(?:_|$
    |\d)|(?:API|ACCESS|PRIVATE|SECRET|SIGNING|ENCRYPTION|MASTER|LICENSE|DEPLOY|SSH|ANTHROPIC|OPENAI)_?KEY
    |_URI$|(?:DATABASE|REDIS|MONGO\w*|AMQP|POSTGRES\w*|DB)_UR[LI]$|^(?:AWS|AZURE|GCP|GOOGLE|ANTHROPIC
    |OPENAI)_(?!REGION|PROFILE|DEFAULT|PROJECT|BASE|MODEL)\w+$
    """,
    re.IGNORECASE | re.VERBOSE,
)
_NO_VARIABLE = words("PWD OLDPWD KEY AUTH PASS")


def is_secret(path: str) -> bool:
    """
    True when the file *path* is one that holds secrets, by its name; of a pattern, when it may match one.
    """
    name = path.rsplit("/", 1)[-1]
    if any(sign in name for sign in "*?["):
        if set(name) <= set("*.") and not name.startswith("."):
            return "/" in path and _names_secret(path.rsplit("/", 1)[0])
        if fitting([one for one in _CANDIDATES if one[0] == "." or name[0] not in "*?["], name):
            return name.strip("*?.") != "" or name.startswith(".")
        if name.startswith("*.") and re.fullmatch(r"\.[kp]e[ym]", name[1:].replace("*", "")):
            return True
    if "example" in name.lower() or "sample" in name.lower() or _EXAMPLE.search(name):
        return bool(re.search(r"(?:^|/)\.(?:ssh|aws|gnupg)/", path))
    return _names_secret(path)


def _names_secret(path: str) -> bool:
    return bool(_SECRET_FILE.search(path) or _SECRET_FOLDER.search(path))


def is_secret_variable(name: str) -> bool:
    """
    True when the environment variable *name* would hold a secret.
    """
    return bool(_VARIABLE.search(name)) and name.upper() not in _NO_VARIABLE
