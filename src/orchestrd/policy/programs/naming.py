"""
What a program's arguments name: files, and variables of the environment.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.strangers import UNGUARDED
from orchestrd.policy.secrecy import is_secret, is_secret_variable
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import holes, is_known, starts_with_hole

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
        "jq gojq jaq yq xq tq dasel fx gron mlr xsv htmlq pup xmllint xmlstarlet jsonnet jp",
        o.words("-f --from-file -e"),
    ),
    **o.each(
        "sed gsed awk gawk mawk tr perl ruby locate look fzf cut-d expand-t",
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
        "jq gojq jaq yq",
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
        "gcc g++ cc clang clang++ rustc ld go nasm as tsc esbuild javac kotlinc ghc",
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
        "pytest py.test",
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
_STRICT = (
    UNGUARDED
    | SHOWS_NAMES
    | o.words("""
        git egrep fgrep zcat zless zgrep hexdump hd bat batcat most more nl tac rev fold wc cksum md5sum sha1sum
        sha256sum sha512sum b2sum sum shasum cmp colordiff delta vimdiff sdiff od xxd strings source . mapfile
        diffstat file stat python python3 gitleaks trufflehog tree scc du
    """)
)
"""Programs whose words are paths where they look like some."""
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
_IN_PLACE = o.words("yq gojq dasel crudini toml xq tomlq git-cliff")
"""Programs that write the files they are given when they are told to."""
_ASKING_JQ = re.compile(r"(?:\benv\.|\$ENV\.|strenv\(|\benv\()(\w+)")
_WHOLE_ENVIRONMENT = re.compile(r"(?:^|[|,(]\s*)(?:env|\$ENV)\s*(?:$|[|,)])")
_NAMES_OF_ENVIRONMENT = re.compile(r"(?:env|\$ENV)\s*\|\s*keys(?:_unsorted)?\s*(?:\[\]|\|\s*\.\[\]|\|\s*length)?")
_FILE_ADDRESS = re.compile(r"file:(?:(?://(?:localhost)?)?)(/(?!/)[^\s'\"]*)")
_FILE_START = re.compile(r"file:(?:///|/(?!/)|//localhost/)")
_PATTERNS = frozenset({"--include", "--exclude", "--glob", "-g", "--exclude-dir", "-Dtest"})
"""Options whose value is a pattern, not a path."""
_GLUED = re.compile(r"-[a-zA-Z](/\S+|\.\./\S*|~/\S*)$")
_ASSIGNED = re.compile(r"(?:[\w./-]+=)?(?:label:)?@?(/\S+|\.\./\S+|~/\S+)$")
_ROUTE = re.compile(r"/(?:[a-z][\w-]*)?(?:[:,]|$)")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://")
_SUBSTITUTION = re.compile(r"/[^/]*/[gimsuy]*,?(?:/[^/]*/)?[a-z]*")
_EXPRESSION = re.compile(r"\\[.\w/]|\(.*\|.*\)")
"""What a regular expression has, and no path."""
_MAX_PATH = 1000


def judge_paths(inquiry: Inquiry, call: Invocation) -> None:
    """
    Object to paths among the arguments: the words that are some, and the values of options.
    """
    program, argv = call.program, call.argv[1:]
    if program in _PATTERN_FIRST:
        for pattern in o.options(argv, "--include", "-g", "--glob"):
            if is_secret(pattern):
                inquiry.object("secret", call, f"`{pattern}` holds secrets")
    if program in {"jq", "gojq", "yq"}:
        for text in o.plain(argv, VALUED["jq"])[:1]:
            if _NAMES_OF_ENVIRONMENT.fullmatch(text.strip()):
                continue
            if _WHOLE_ENVIRONMENT.search(text) or any(map(is_secret_variable, _ASKING_JQ.findall(text))):
                inquiry.object("secret", call, "the environment's secrets would be shown")
    words = _words(call)
    written = o.options(argv, *_WRITING_OPTIONS[program]) if program in _WRITING_OPTIONS else []
    if program in _IN_PLACE and o.has_flag(argv, "i", "--in-place", "--inplace", "put", "--set"):
        written += words
    for path in dict.fromkeys(written):
        inquiry.use(path, call, writes=True)
    strict = program in _STRICT and program not in _LABELS
    left_out = o.left_out(argv)
    for word in words:
        if word in written or word in left_out or _is_no_path(word, strict=strict):
            continue
        inquiry.use(word, call, only_looks=program in SHOWS_NAMES)
    for word in argv:
        _judge_word(inquiry, call, word, written)


def _words(call: Invocation) -> list[str]:
    """
    The arguments that are no options, without a pattern that comes first.
    """
    argv = call.argv[1:]
    words = o.plain(argv, VALUED.get(call.program, ()))
    instead = _PATTERN_FIRST.get(call.program)
    if instead is None:
        return words
    if not any(_gives(word, instead) for word in argv):
        words = words[1:]
    return words + o.options(argv, "-f", "--file", "--from-file", "--slurpfile", "--rawfile")


def _gives(word: str, names: frozenset[str]) -> bool:
    """
    True when *word* is one of the options *names*, whether its value follows or stands in the same word.
    """
    if word in names or word.partition("=")[0] in names:
        return True
    return not word.startswith("--") and any(len(name) == 2 and word.startswith(name) for name in names)


def _judge_word(inquiry: Inquiry, call: Invocation, word: str, written: list[str]) -> None:
    """
    A path that is a part of *word*: an address, an option's value, what is assigned.
    """
    looks = call.program in SHOWS_NAMES
    if "file:/" in word and _FILE_START.search(word):
        for path in _FILE_ADDRESS.findall(word)[:1]:
            inquiry.use("" if path == "/" else path, call)
    if not word.startswith("-"):
        match = _ASSIGNED.match(word)
        if match and match.group(1) != word and call.program not in _PATTERN_FIRST and not _ROUTE.match(match.group(1)):
            inquiry.use(match.group(1), call, only_looks=looks)
        return
    name, _, value = word.partition("=")
    leads_away = value.startswith(("/", "../", "~/")) or value == ".." or is_secret(value)
    if leads_away and value != "/" and " " not in value and name not in _PATTERNS:
        if value not in written:
            inquiry.use(value, call, only_looks=looks)
    elif match := _GLUED.match(word):
        inquiry.use(match.group(1), call, only_looks=looks)


def _is_no_path(word: str, *, strict: bool) -> bool:
    """
    True when *word* is a route, a label, an address, a substitution …; with *strict*, of a program that reads files,
    less passes for such.
    """
    at_root = _TOP_LEVEL.match(word) or starts_with_hole(word[1:]) or word == "/"
    if len(word) > _MAX_PATH or _EXPRESSION.search(word):
        return True
    if not strict and word.startswith("/") and (word.startswith("//") or not at_root):
        return True
    if _ADDRESS.match(word) or ("\n" in word and not (strict and word.startswith("/"))):
        return True
    return " " in word and _SUBSTITUTION.fullmatch(word) is not None


def check_variables(inquiry: Inquiry, call: Invocation) -> None:
    """
    Secrets of the environment among the arguments, or in what a program is given to read.
    """
    reads = call.program in _ENVIRONMENT_READERS
    text = " ".join((*call.argv[1:], call.stdin or "") if reads else call.argv[1:])
    if is_known(text) or call.program in {"test", "[", "[["}:
        return
    for name in (hole.lstrip("!") for hole in holes(text)):
        address = name.upper().endswith(("_URL", "_URI", "_DSN"))
        if is_secret_variable(name) and (reads or not address) and not name.startswith("("):
            inquiry.object("secret", call, f"${name} is a secret")
            return
