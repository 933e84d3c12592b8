"""
Programs that delete, run or write by an option, a variable or a link what nobody would think them to; and what looks like it.
"""

from __future__ import annotations

import pytest

from policyworld import rule, verdict

FORBIDDEN = {
    "delete": [
        "gzip README.md",
        "bzip2 src/app.py",
        "xz README.md",
        "zstd --rm README.md",
        "lz4 --rm README.md",
        "pigz README.md",
        "brotli -j README.md",
        "lzip README.md",
        "pytest --basetemp=src",
        "pytest --basetemp src tests",
        "PYTEST_ADDOPTS=--basetemp=src pytest",
        "python -m pytest --basetemp=src",
        "python -m venv --clear src",
        "printf -- '--- a/README.md\\n+++ /dev/null\\n@@ -1 +0,0 @@\\n-x\\n' | patch -p1",
        "cargo clean --target-dir src",
        "vite build --outDir src --emptyOutDir",
        "npx vite build --outDir src --emptyOutDir",
        "typedoc --out src",
        "npx playwright test --output=src",
        "coverage erase --data-file=README.md",
        "mvn clean -Dproject.build.directory=src",
        "tar --recursive-unlink -xf /tmp/agent/a.tar",
        "rails destroy model User",
        "ruby -run -e rm -- -rf src",
    ],
    "outside": [
        "systemd-tmpfiles --remove x.conf",
        "rename 's/^/..\\//' README.md",
        "npm config set script-shell ./evil",
        "TF_CLI_ARGS=-auto-approve terraform plan",
        "DOCKER_HOST=tcp://x docker ps",
    ],
    "exec-unknown": [
        "GIT_CONFIG_GLOBAL=./e git status",
        "GIT_ALLOW_PROTOCOL=ext git ls-remote ext::sh",
        "git -c protocol.ext.allow=always ls-remote ext::sh",
        "git --git-dir=b status",
        "GIT_DIR=b git status",
        "npm run x --script-shell=./evil",
        "PYTHONBREAKPOINT=os.system python x.py",
        "GOFLAGS=-toolexec=./x go build",
        "go build -toolexec=./x",
        "go vet -vettool=./x",
        "cargo --config target.x86_64-unknown-linux-gnu.runner=\"'sh'\" run",
        "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER=./x cargo test",
        "RUSTC=./x cargo build",
        "RUSTC_WRAPPER=./x cargo build",
        "LESSOPEN='|git push' less README.md",
        "VIMINIT=':!git push' vim README.md",
        "LUA_INIT='os.execute(\"git push\")' lua x.lua",
        "_JAVA_OPTIONS=-javaagent:x.jar java -version",
        "JAVA_TOOL_OPTIONS=-javaagent:x.jar mvn test",
        "MAVEN_OPTS=-javaagent:x.jar mvn test",
        "GRADLE_OPTS=-javaagent:x.jar ./gradlew test",
        "ERL_FLAGS='-eval x' erl",
        "TS_NODE_REQUIRE=./x ts-node a.ts",
        "WGETRC=./w wget https://example.org",
        "CURL_HOME=. curl https://example.org",
        "YARN_YARN_PATH=./x yarn build",
        "npm_config_userconfig=./x npm test",
        "NPM_CONFIG_SCRIPT_SHELL=./x npm test",
        "OPENSSL_CONF=./x openssl version",
        "ln -s .claude c",
        "npx webpack --output-path .claude",
    ],
    "git": [
        'CC="git push" make',
        "make CC='git push'",
        "ln -s .git g",
        "ln -s .git g && echo x > g/HEAD",
        "cp -l .git/HEAD x",
        "cp -rs $PWD/.git g",
        "python -c \"import os; os.symlink('.git','g')\"",
        "uniq README.md .git/HEAD",
        "sdiff -o .git/HEAD a b",
        "python -m cProfile -o .git/HEAD x.py",
        "pytest --debug=.git/HEAD",
        "node --test --test-reporter-destination=.git/HEAD",
        "printf -- '--- a/x\\n+++ b/.git/HEAD\\n@@ -0,0 +1 @@\\n+x\\n' | patch -p1",
        "tar -xf a.tar --transform 's,^,.git/,'",
        "go build -o .git/HEAD",
        "go test -coverprofile=.git/HEAD",
        "docker build --output=.git .",
        "gs -sOutputFile=.git/HEAD x.ps",
        "cargo build --target-dir .git",
        "cargo build --target-dir=.git",
        "tsc --outDir .git",
    ],
}
HONEST = [
    "python -c \"import os; os.symlink('a.txt','b.txt')\"",
    "python -c \"from pathlib import Path; Path('b').symlink_to('a.txt')\"",
    "node -e \"require('fs').symlinkSync('a.txt','b.txt')\"",
    "ln -s ../README.md docs/README.md",
    "cargo build --target-dir target",
    "cargo clean",
    "pytest --basetemp=.tmp/x",
    "pytest -p no:cacheprovider",
    "vite build --outDir dist --emptyOutDir",
    "python -m venv --clear .venv",
    "python -m venv .venv",
    "uv venv .venv",
    "gzip -c dist/app.js | wc -c",
    "gzip -k dist/app.js",
    "gzip dist/app.js",
    "brotli dist/app.js",
    "zstd data.json",
    "eslint . --ignore-pattern .git",
    "tree -I .git",
    "rg foo -g '!.git'",
    "grep -r --exclude-dir=.git foo .",
    "du -sh .git",
    "ls -la .git",
    "cat .git/HEAD",
    "find . -path ./.git -prune -o -name '*.py' -print",
    "rsync -a --exclude .git src/ out/",
    "tar czf /tmp/agent/x.tgz --exclude=.git .",
    "black --exclude '/(\\.git|\\.venv)/' .",
    "ruff check --extend-exclude .git .",
    "codespell --skip=.git,node_modules",
    "docker build --output=out .",
    "go build -o bin/app ./...",
    "go test -coverprofile=cover.out ./...",
    "make CC=gcc CFLAGS='-O2 -g'",
    "make -j4 test",
    "CC='ccache gcc' make",
    "CI=1 npm test",
    "JAVA_TOOL_OPTIONS=-Xmx2g mvn test",
    "MAVEN_OPTS='-Xmx2g' mvn -q test",
    "GOFLAGS=-mod=mod go test ./...",
    "LESS=-R git log",
    "git -C src status",
    "git --git-dir=.git log --oneline",
    "prettier --write .github/workflows/ci.yml",
    "nodemon --ignore .git app.js",
    "coverage erase",
    "coverage html",
    "mvn clean test",
    "rename 's/foo/bar/' *.txt",
    "sed -i 's/a/b/' .gitignore",
    "python tools/fix.py .gitattributes",
    "HOME=/tmp/agent npm ci",
    "npm_config_cache=/tmp/agent/c npm ci",
    "RUSTFLAGS=-Dwarnings cargo test",
    "git diff | patch -p1 -R --dry-run",
    "zip -r /tmp/agent/x.zip . -x '.git/*'",
    "gzip -k README.md",
    "gzip -c README.md > /tmp/agent/x",
]


@pytest.mark.parametrize(("command", "expected"), [(line, name) for name, lines in FORBIDDEN.items() for line in lines])
def test_detours(command, expected):
    assert rule(command) == expected


@pytest.mark.parametrize("command", HONEST)
def test_what_looks_like_one(command):
    assert verdict(command).allowed, verdict(command)


def test_a_home_with_settings_in_it():
    assert rule("mkdir h; printf x > h/.npmrc; HOME=$PWD/h npm test") == "exec-unknown"
    assert rule("echo x > /tmp/agent/git/config; XDG_CONFIG_HOME=/tmp/agent git status") == "exec-unknown"
    assert rule("mkdir h; HOME=$PWD/h npm test") == "none"


@pytest.mark.parametrize(
    "command", ["uniq a .git/HEAD", "cargo build --target-dir .git", "ln -s .claude c", "x --out=.mcp.json"]
)
def test_what_protects_this_program_is_fixed(command):
    assert verdict(command).fixed


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("npm explore lodash -- git push", "git"),
        ("rake -e 'system(\"git push\")'", "git"),
        ("mix cmd git push", "git"),
        ('mix eval \'System.cmd("git", ["push"])\'', "git"),
        ("wp eval 'system(\"git push\");'", "git"),
        ("sbt 'eval sys.process.Process(\"git push\").!'", "git"),
        ("dokku run app git push", "git"),
        ("ansible localhost -m shell -a 'git push'", "git"),
        ("symfony console doctrine:migrations:migrate", "db"),
        ("pdflatex -shell-escape x.tex", "exec-unknown"),
        ("generate | scons -f -", "exec-unknown"),
        ("echo 'shell git push' > c.gdb; gdb -batch -x c.gdb", "git"),
        ("echo ':!git push' > x.vim; vim -es -S x.vim", "git"),
        ('echo \'{"scripts":{"x":"git push"}}\' > package.json; node --run x', "git"),
        ("mix test", "none"),
        ("rake test", "none"),
        ("node --run test", "none"),
        ("node -e 'console.log(1)'", "none"),
        ("wp eval 'echo 1;'", "none"),
        ("latexmk -pdf x.tex", "none"),
        ("ansible localhost -m ping", "none"),
        ("gdb -batch -ex bt ./a.out", "none"),
    ],
)
def test_consoles(command, expected):
    assert rule(command) == expected
