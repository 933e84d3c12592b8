"""
What shows secrets, all files or the whole environment, and what is told to services by hand; and honest looks beside it.
"""

from __future__ import annotations

import pytest

from policyworld import rule, verdict

FORBIDDEN = {
    "secret": [
        "make -p",
        "make -pn",
        "grep -r '' .",
        "grep -rn . .",
        "find . -type f -exec cat {} +",
        "php -i",
        "php -r 'phpinfo();'",
        "Rscript -e 'Sys.getenv()'",
        "rails credentials:show",
        "rails credentials:edit",
        "rails secrets:show",
        "rails encrypted:show config/x.yml.enc",
        "php bin/console secrets:reveal",
        "php artisan env:decrypt",
        "git show HEAD:.env",
        "git log -p --all -- .env",
        "cat .env*",
        "cat ./.e??",
        "less .env",
        "cp .env /tmp/agent/x",
        "base64 .env",
        "python -c \"print(open('.env').read())\"",
        "node -p \"require('fs').readFileSync('.env','utf8')\"",
        "docker compose config",
        "kubectl get secret x -o yaml",
        "gcloud auth print-access-token",
        "gh auth token",
        "npm config get //registry.npmjs.org/:_authToken",
        "printenv",
        "env",
        "set",
        "export -p",
        "declare -p",
        "compgen -v",
        "cat /proc/self/environ",
        "ps e",
        "ps auxe",
        "ruby -e 'p ENV.to_h'",
        "perl -e 'print %ENV'",
        "node -p process.env",
        "deno eval 'console.log(Deno.env.toObject())'",
        "jq -n env",
        "awk 'BEGIN{for(k in ENVIRON)print ENVIRON[k]}'",
        "vim -es -c '!env' -c q",
        "ssh-add -L",
        "gpg --export-secret-keys",
        "security find-generic-password -w x",
        "secret-tool lookup a b",
        "pass show x",
        "op read op://x/y",
        "vault kv get x",
        "sops -d secrets.yaml",
        "ansible-vault view x.yml",
        "openssl rsa -in server.key",
        "ssh-keygen -y -f id_rsa",
    ],
    "db": [
        "curl dict://localhost:6379/FLUSHALL",
        "curl gopher://localhost:6379/_x",
        "curl -X POST http://localhost:9200/users/_delete_by_query -d '{}'",
        "http DELETE http://localhost:9200/users",
        "xh DELETE http://localhost:9200/users",
        "wget --method=DELETE http://localhost:9200/users",
        "docker volume rm data",
    ],
    "outside": [
        "curl ftp://h/x -Q 'DELE x'",
        "curl --proto-default file /etc/hostname",
        "aws configure export-credentials",
        "systemctl show-environment",
    ],
    "git": [
        "git credential fill",
    ],
}
HONEST = [
    "grep -rn TODO .",
    "grep -rn '' src",
    "rg foo",
    "rg -uu foo",
    "grep -rc '' .",
    "find src -type f -exec cat {} +",
    "find . -name '*.py' -exec cat {} +",
    "find . -type f -exec wc -l {} +",
    "make -n",
    "make -j4 -k test",
    "make -s",
    "docker compose config -q",
    "docker compose config --services",
    "curl http://localhost:9200/users/_search -d '{}'",
    "curl ftp://h/x",
    "http GET localhost:9200/users/_count",
    "wget https://example.org",
    "curl -s localhost:3000/health",
]


@pytest.mark.parametrize(("command", "expected"), [(line, name) for name, lines in FORBIDDEN.items() for line in lines])
def test_what_is_not_shown(command, expected):
    assert rule(command) == expected


@pytest.mark.parametrize("command", HONEST)
def test_honest_looks(command):
    assert verdict(command).allowed, verdict(command)
