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
    (?:
      # environments and settings of tools
      \.env(?:rc)?(?:\.[\w.-]+)? | \.(?:dev|prod|production|staging)\.vars(?:\.\w+)? | \.env_\w+ | [\w-]+\.env
    | env\.(?:local|prod\w*|secret\w*) | \.netrc | _netrc | \.pgpass | \.my\.cnf | \.mylogin\.cnf | \.npmrc
    | \.yarnrc(?:\.yml)? | \.pypirc | \.git-credentials | \.boto | \.s3cfg | \.htpasswd
    | \.dockercfg | \.vault-token | \.terraformrc | credentials\.tfrc\.json
    | terraform\.tfstate(?:\.\w+)? | [\w.-]*\.auto\.tfvars | [\w.-]*\.tfvars | hosts\.yml | \.erlang\.cookie
    | appsettings\.(?:Prod\w*|Staging|Local|Secrets?)\.json | local\.settings\.json | wp-config\.php
      # files that are named after what they hold
    | secrets?(?:[.-][\w.-]*)?\.(?:ya?ml|json|toml|ini|env|txt|properties|enc) | [\w.-]*secrets?\.(?:ya?ml|json|toml|env)
    | (?:service[-_]?account|gcp[-_]?key|firebase[-_]?adminsdk|client_secret)[\w.-]*\.json
    | credentials?(?:\.(?:json|ya?ml|toml|ini|csv|db|enc|yml\.enc))? | application_default_credentials\.json
    | auth\.json | \.credentials(?:\.json)? | tokens?\.(?:txt|ya?ml|pickle|pkl) | \.token
    | (?:access|refresh|auth|bearer|id)[-_]?token\.(?:txt|json|pickle|pkl)
    | passwords?\.(?:txt|json|csv|ya?ml) | \.secrets?
    | \.vault[-_]?pass(?:word|wd)?(?:[-_.]\w+)? | vault[-_]?pass(?:word|wd)?\.txt
      # keys
    | master\.key | [\w.-]*\.kdbx? | wallet\.dat | key\.json | id_(?:rsa|dsa|ecdsa|ed25519)(?:_\w+)?
    | (?:[\w-]+[-_])?(?:deploy|github|gitlab|bitbucket|ssh|host|server|user|admin|root|prod(?:uction)?|staging|ci|aws|ec2
      |jenkins|ansible|backup|id)_(?:rsa|dsa|ecdsa|ed25519) | ssh_host_\w+_key | key(?:store)?\.properties
    | \.?(?:api|access|secret|signing|encryption)[-_]?keys?\.txt | \.(?:api|access|secret)[-_]?key
    | [\w.-]+\.(?:pem|key|p8|p12|pfx|jks|keystore|ppk|asc|gpg|kubeconfig) | kubeconfig | private[-_]?key[\w.-]*
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
    |\.config/github-copilot|private-keys-v1\.d|Keychains|run/secrets|\.secrets|\.ngrok2?|\.config/ngrok)(?:/|$)
    """,
    re.VERBOSE,
)
_DATA_BESIDE = re.compile(
    r"""
      # certificates with their keys: all of them, or what has no ending; one certificate is public
    (?:^|/)certs(?:/[^.]*)?$
      # data in a folder of secrets
    | (?:^|/)secrets/(?:[^/]+/)*[^/]*\.(?:ya?ml|json|txt|env|ini|toml|properties|conf|cfg|csv|xml|enc|bin)$
    | (?:^(?:\./)?|(?:^|/)(?:conf(?:ig)?s?|deploy\w*|infra\w*|ops|docker)/)secrets/
      (?:(?!README|LICENSE|Makefile|Dockerfile)[^.]*)?$
    | (?:^|/)(?:conf(?:ig)?s?|deploy\w*|infra\w*|ops)/secrets$
      # what Ansible keeps in a vault
    | (?:^(?:\./)?|(?:^|/)(?:(?:group|host)_vars|vars|inventor(?:y|ies))/(?:[^/]+/)*)vault\.ya?ml$
      # a login that a program keeps, and no tokens of a design
    | (?:^(?:\./)?|(?:^|/)(?:\.[\w-]+(?:/[\w-]+)?|conf(?:ig)?s?|auth|credentials?|secrets?)/)token\.json$
    | (?:^|/)(?:\.[\w-]+(?:/[\w-]+)?|auth|credentials?|secrets?)/tokens\.json$
    """,
    re.VERBOSE,
)
"""Data that is secret by the folder it lies in, unless that is one of the application's code, which may be about anything."""
_BESIDE = ("certs", "secrets", "vault.", "token")
"""What stands in every such path."""
_CODE = re.compile(
    r"""
    (?:^|/)(?:src|libs?|pkg|internal|cmd|docs?|(?:[\w-]+[._-])?tests?|specs?|e2e|fixtures|testdata|mocks?|__\w+__
    |node_modules|templates|schemas?|examples?|samples?|stories|components|public|static|assets)/
    """,
    re.VERBOSE,
)
_TRANSLATION = re.compile(
    r"""
    (?:^|/)(?:_?locales?|i18n|l10n|langs?|languages|translations|messages)/(?:[^/]+/)*
    [\w-]+\.(?:json|ya?ml|toml|ini|properties|txt)$
    """,
    re.VERBOSE,
)
"""The words of a page, in a file that is named after what they are about."""
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
    |\d)|(?:^|_)APP_?KEY$|(?:API|ACCESS|PRIVATE|SECRET|SIGNING|ENCRYPTION|MASTER|LICENSE|DEPLOY|SSH|ANTHROPIC|OPENAI)_?KEY
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
            folder = path.rpartition("/")[0]
            return bool(folder) and (_names_secret(folder) or _names_secret(folder + "/"))
        if fitting([one for one in _CANDIDATES if one[0] == "." or name[0] not in "*?["], name):
            return name.strip("*?.") != "" or name.startswith(".")
        if name.startswith("*.") and re.fullmatch(r"\.[kp]e[ym]", name[1:].replace("*", "")):
            return True
    if "example" in name.lower() or "sample" in name.lower() or _EXAMPLE.search(name):
        return bool(re.search(r"(?:^|/)\.(?:ssh|aws|gnupg)/", path))
    return _names_secret(path)


def _names_secret(path: str) -> bool:
    if _SECRET_FOLDER.search(path):
        return True
    named = _SECRET_FILE.match(path.rpartition("/")[2])
    if named is None and any(part in path for part in _BESIDE):
        named = None if _CODE.search(path) else _DATA_BESIDE.search(path)
    return bool(named) and not _TRANSLATION.search(path)


def is_secret_variable(name: str) -> bool:
    """
    True when the environment variable *name* would hold a secret.
    """
    return bool(_VARIABLE.search(name)) and name.upper() not in _NO_VARIABLE
