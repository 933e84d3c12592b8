"""
What a program's arguments name: files, and variables of the environment.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.strangers import UNGUARDED
from orchestrd.policy.scope import Place
from orchestrd.policy.secrecy import is_secret, is_secret_variable
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import holes, starts_with_hole

DATA = o.words("""
    echo printf true false : sleep seq expr test [ [[ basename dirname which whereis type command man info help
    tldr apropos whatis hash let id whoami hostname uname nproc yes tput stty jobs logger tr cal bc dc factor
    numfmt say notify-send figlet cowsay banner uuidgen pwgen getopt getopts return exit shift kill pkill pgrep
    pidof gh glab http https xh nslookup dig host ping traceroute whois ss netstat lsof ps top free vmstat
    iostat uptime w who last groups locale getconf arch tty clear reset mesg export unset readonly local declare
    typeset alias unalias eval trap set shopt commitlint apt-cache brew npm yarn pnpm
""")
"""Programs whose arguments are words, not paths."""
SHOWS_NAMES = o.words("""
    ls dir vdir tree exa eza lsd du stat file test [ [[ realpath readlink basename dirname namei touch mkdir rm
    mv find fd chmod chown cd pushd ln df git-ls-files lsattr getfacl mountpoint findmnt which whereis
""")
"""Programs that show of a file no more than its name and what it is like."""
_PATTERN_FIRST: dict[str, frozenset[str]] = {
    # programs whose first word is no path -> options that give it in its place
    **o.each(
        """
        grep egrep fgrep zgrep rgrep ggrep zegrep xzgrep bzgrep ugrep ug rg ag ack pt sift sg ast-grep semgrep
        comby
        """,
        o.words("-e --regexp -f --file --files -p --pattern -l --lang --type-list"),
    ),
    **o.each(
        """
        jq gojq jaq yq xq tq dasel fx gron mlr xsv htmlq pup xmllint xmlstarlet jsonnet jp
        """,
        o.words("-f --from-file -e"),
    ),
    **o.each(
        """
        sed gsed awk gawk mawk tr perl ruby locate look fzf cut-d expand-t
        """,
        o.words("-e -f --expression --file"),
    ),
}
VALUED: dict[str, frozenset[str]] = {
    **o.each(
        """
        grep egrep fgrep zgrep ggrep rgrep
    """,
        o.words("""
            -e --regexp -m --max-count -A -B -C --after-context --before-context --context --include --exclude
            --exclude-dir --color --colour -d -D --binary-files --label
        """),
    ),
    **o.each(
        """
        rg ag ack ug ugrep
    """,
        o.words("""
            -e --regexp -m --max-count -A -B -C --after-context --before-context --context -g --glob --iglob -t
            --type -T --type-not --color --colors -E --encoding -j --threads -M --max-columns --sort --sortr -d
            --max-depth -r --replace --type-add --pre-glob --engine --ignore-dir -G
        """),
    ),
    **o.each(
        """
        jq gojq jaq yq
        """,
        o.words("--arg --argjson --indent --tab -L -I -p -o --input-format --output-format"),
    ),
    **o.each("head tail", o.words("-n -c --lines --bytes -s --pid")),
    "sort": o.words("-k -t --key --field-separator -S -T --parallel --buffer-size"),
    "cut": o.words("-d -f -c -b --delimiter --fields --output-delimiter"),
    "tree": o.words("-L -P -I --filelimit --charset -H -T --sort --timefmt"),
    "ls": o.words("-I --ignore --hide -w --color --sort --time --time-style --format --block-size"),
    "du": o.words("-d --max-depth -t --threshold --exclude -B"),
    "pytest": o.words("""
        -k -m -n -p -W --tb --maxfail --durations --cov-report --dist -o --color --timeout -c --log-level
        --log-cli-level --deselect --cov-fail-under --reruns -r
    """),
    **o.each(
        """
        jest vitest mocha ava playwright cypress karma
    """,
        o.words("""
            -t --testNamePattern --grep -g --reporter --maxWorkers -w --testPathPattern --project --browser
            --spec --config -c --shard --timeout --env -e
        """),
    ),
    "mvn": o.words("-pl -P -D"),
    **o.each("sed gsed", o.words("-e --expression -l --line-length")),
    **o.each("rspec rails ruby", o.words("-t --tag -e --example -n --name -f --format -r --require -I")),
    "deno": o.words("--filter --config --import-map --ext"),
    "diff": o.words("-U -C -I -x -F --exclude --label --ignore-matching-lines --color"),
    "curl": frozenset(),
}
_WRITING_OPTIONS: dict[str, tuple[str, ...]] = {
    "sort": ("-o", "--output"),
    "iconv": ("-o", "--output"),
    **o.each(
        """
        gcc g++ cc clang clang++ rustc ld go nasm as tsc esbuild javac kotlinc ghc
        """,
        ("-o", "--output", "--outDir", "--outfile", "--outdir", "-d"),
    ),
    **o.each(
        """
        convert ffmpeg pandoc dot rsvg-convert inkscape wkhtmltopdf jq yq tree pg_dump pg_dumpall mysqldump
        mongodump sqlite3 sqlfluff xmllint objcopy uniq gpg age qemu-img script shuf csvsql
        openapi-generator-cli protoc graphviz plantuml terraform cloc tokei hyperfine
        """,
        (
            "-o",
            "--output",
            "--out",
            "--output-file",
            "-out",
            "-f-out",
            "--file",
            "--export-json",
            "--export-markdown",
            "--output-dir",
            "--out-dir",
        ),
    ),
    **o.each(
        """
        pytest py.test
        """,
        (
            "--junitxml",
            "--junit-xml",
            "--basetemp",
            "--cov-report-file",
            "--html",
            "--json-report-file",
            "--log-file",
            "--result-log",
        ),
    ),
    "jest": ("--outputFile", "--coverageDirectory", "--cacheDirectory"),
    "vitest": ("--outputFile",),
    "eslint": ("-o", "--output-file", "--cache-location"),
    "ruff": ("-o", "--output-file", "--cache-dir"),
    "mypy": ("--cache-dir", "--junit-xml", "--html-report"),
    "virtualenv": (),
    "coverage": ("-d", "-o", "--data-file", "--directory"),
    "cmake": ("-B", "--install-prefix", "--prefix"),
    "meson": (),
}
_ENVIRONMENT_READERS = o.words("""
    echo printf cat tee curl wget http xh nc logger python python3 node ruby perl php jq awk base64 xxd od wc
    head tail grep sort tr rev fold cut sed tac
""")


def judge_paths(inquiry: Inquiry, call: Invocation) -> None:
    program, argv = call.program, call.argv[1:]
    for pattern in o.options(argv, "--include", "-g", "--glob") if program in _PATTERN_FIRST else []:
        if is_secret(pattern):
            inquiry.object("secret", call, f"`{pattern}` holds secrets")
    if program in {"jq", "gojq", "yq"}:
        for text in o.plain(argv, VALUED["jq"])[:1]:
            names = re.findall(r"(?:\benv\.|\$ENV\.|strenv\(|\benv\()(\w+)", text)
            if any(is_secret_variable(name) for name in names) or re.search(
                r"(?:^|[|,(]\s*)(?:env|\$ENV)\s*(?:$|[|,)])", text
            ):
                inquiry.object("secret", call, "the environment's secrets would be shown")
    valued = VALUED.get(program, frozenset())
    looks = program in SHOWS_NAMES
    words = o.plain(argv, valued)
    substitutes = _PATTERN_FIRST.get(program)
    if substitutes is not None and not any(
        word in substitutes
        or any(len(name) == 2 and word.startswith(name) and not word.startswith("--") for name in substitutes)
        or word.split("=")[0] in substitutes
        for word in argv
    ):
        words = words[1:]
    if program in _PATTERN_FIRST:
        words += o.options(argv, "-f", "--file", "--from-file", "--slurpfile", "--rawfile")
    writing = _WRITING_OPTIONS.get(program, ())
    written = set(o.options(argv, *writing)) if writing else set()
    if program in o.words("yq gojq dasel crudini toml xq tomlq git-cliff") and o.has_flag(
        argv, "i", "--in-place", "--inplace", "put", "--set"
    ):
        written |= set(words)
    for path in written:
        inquiry.use(path, call, writes=True)
    for word in words:
        if word in written or _is_no_path(word, strict=program in READERS and program not in _LABELS):
            continue
        inquiry.use(word, call, only_looks=looks)
        if program not in READERS and any(inquiry.place(word, cwd) is Place.REPOSITORY for cwd in call.cwd):
            inquiry.object("git", call, f"`{word}` belongs to git")
    for word in argv:
        if (
            "file:/" in word
            and (match := re.search(r"file:(?://(?:localhost)?)?(/(?!/)[^\s'\"]*)", word))
            and "file:" + match.group(1) != "file:/"
            and re.search(r"file:(?:///|/(?!/)|//localhost/)", word)
        ):
            inquiry.use(match.group(1), call)
        if word.startswith("-"):
            _, sign, value = word.partition("=")
            if (
                sign
                and value != "/"
                and (value.startswith(("/", "../", "~/")) or value == ".." or is_secret(value))
                and not set(value) & set(" ")
                and word.split("=")[0] not in {"--include", "--exclude", "--glob", "-g", "--exclude-dir", "-Dtest"}
            ):
                if value not in written:
                    inquiry.use(value, call, only_looks=looks)
            elif match := re.match(r"-[a-zA-Z](/\S+|\.\./\S*|~/\S*)$", word):
                inquiry.use(match.group(1), call, only_looks=looks)
        elif match := re.match(r"(?:[\w./-]+=)?(?:label:)?@?(/\S+|\.\./\S+|~/\S+)$", word):
            if (
                match.group(1) != word
                and not re.match(r"/(?:[a-z][\w-]*)?(?:[:,]|$)", match.group(1))
                and program not in _PATTERN_FIRST
            ):
                inquiry.use(match.group(1), call, only_looks=looks)


def check_variables(inquiry: Inquiry, call: Invocation) -> None:
    """
    Secrets of the environment among the arguments, or in what a program is given to read.
    """
    _variables(inquiry, call)


def _is_no_path(word: str, *, strict: bool) -> bool:
    if not strict and word.startswith("//"):
        return True
    if (
        not strict
        and word.startswith("/")
        and word != "/"
        and not _TOP_LEVEL.match(word)
        and not starts_with_hole(word[1:])
    ):
        return True  # a route, a pattern, a label: nothing that a machine has at its root
    if re.match(r"[a-z][a-z0-9+.-]*://", word):
        return True
    if "\n" in word or len(word) > 1000:
        return True
    return bool(re.fullmatch(r"/[^/]*/[gimsuy]*,?(?:/[^/]*/)?[a-z]*", word) and " " in word)


def _variables(inquiry: Inquiry, call: Invocation) -> None:
    """
    Secrets of the environment among the arguments, or in what a program is given to read.
    """
    if call.program in {"test", "[", "[["}:
        return
    given = [call.stdin] if call.stdin and call.program in _ENVIRONMENT_READERS else []
    for word in [*call.argv[1:], *given]:
        for name in holes(word):
            bare = name.lstrip("!")
            if (
                not bare.startswith("(")
                and is_secret_variable(bare)
                and not (bare.upper().endswith(("_URL", "_URI", "_DSN")) and call.program not in _ENVIRONMENT_READERS)
            ):
                inquiry.object("secret", call, f"${bare} is a secret")
                return


READERS = (
    UNGUARDED
    | SHOWS_NAMES
    | o.words("""
        git egrep fgrep zcat zless zgrep hexdump hd bat batcat most more nl tac rev fold wc cksum md5sum sha1sum
        sha256sum sha512sum b2sum sum shasum cmp colordiff delta vimdiff sdiff od xxd strings source . mapfile
        diffstat file stat python python3 gitleaks trufflehog tree scc du
    """)
)
"""Programs that only read the paths they are given."""
_LABELS = o.words("""
    bazel bazelisk buck pants please xmllint xmlstarlet jq yq pytest jest vitest mocha playwright rspec rails
    ctest mvn gradle dotnet go cargo npx node python python3 ruby perl php curl
""")
"""Programs whose words may begin with a slash without being paths."""
_TOP_LEVEL = re.compile(
    r"""
    /(?:etc|home|root|usr|var|tmp|opt|proc|sys|dev|mnt|media|srv|boot|lib\w*|s?bin|run|Users|Library
    |Applications|private|Volumes|System|nix|snap|data|workspaces?|app|code|projects?|other|Network|cores
    |efs|nfs|backup\w*|storage|work|builds?|secrets?)(?:/|$)
    """,
    re.VERBOSE,
)
