"""
What talks to other machines: reading public addresses is allowed, sending files, publishing and remote shells are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

from orchestrd.policy.code.sql import changes, only_reads
from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known, shown
from orchestrd.policy.shell.paths import absolute

_FORGE = re.compile(
    r"""
    (?:api\.|uploads\.)?(?:github|gitlab|bitbucket|codeberg|gitea)\.(?:com|org|io)|/api/v[34]/(?:repos
    |projects)/|dev\.azure\.com
    """,
    re.IGNORECASE | re.VERBOSE,
)
_DATABASE_PORTS = re.compile(
    r"""
    :(?:9200|9300|5984|6984|8123|8086|7474|8529|8983|6333|8080/v1/graphql|28017|19530|7700|8108|4000/sql
    |9000/(?:exec|imp))(?:/|$|\?)
    """,
    re.VERBOSE,
)
_METADATA = re.compile(
    r"""
    169\.254\.(?:169\.254|170\.2)|metadata\.google\.internal|metadata\.azure|100\.100\.100\.200
    |fd00:ec2::254|metadata/(?:instance|identity)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_NUMBERS = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://)?(?:[^/@\s]*@)?((?:0x)?[0-9a-f]+(?:\.(?:0x)?[0-9a-f]+)*)(?=[:/?#]|$)", re.IGNORECASE
)
_SOCKET = re.compile(r"(?:docker|podman|containerd|orchestrd)[\w.]{0,80}\.sock")
_CURL_VALUED = o.words("""
    -X --request -H --header -d --data --data-binary --data-raw --data-urlencode --data-ascii --json -F --form
    --form-string -o --output -T --upload-file -u --user -A --user-agent -e --referer -b --cookie -c
    --cookie-jar -x --proxy -m --max-time --connect-timeout --retry --retry-delay -w --write-out -K --config
    --cacert --cert --key -E -r --range --resolve -D --dump-header --output-dir -C --continue-at --limit-rate
    --unix-socket --abstract-unix-socket --interface -z --time-cond -y -Y -t -Q --url --netrc-file --trace
    --trace-ascii --stderr --etag-save --etag-compare --libcurl --egd-file --random-file
""")
_WGET_VALUED = o.words("""
    -O --output-document -P --directory-prefix -o --output-file -a --append-output -i --input-file -U
    --user-agent -t --tries -T --timeout -e --execute --header --post-data --post-file --body-data --body-file
    --method -B --base --load-cookies --save-cookies -Q -w --wait -l --level -A --accept -R --reject -D
    --domains --password --user --certificate --private-key
""")


_WRITING = o.words("""
    -o --output -D --dump-header -c --cookie-jar --trace --trace-ascii --stderr --etag-save --libcurl
    --output-dir
""")
_SENDING = ("-d", "--data", "--json", "-F", "--form", "-T", "--upload-file")
_ASKING = frozenset({"", "GET", "HEAD", "OPTIONS"})
_NAMED_FILE = re.compile(r"\w*@(?=[./\w])")
_FORM_FILE = re.compile(r"=[@<]([^;]+)")
_SEARCHES = re.compile(r"/_(?:search|count|msearch|mapping|cat|analyze|explain|find|sql)\b")
_CHANGES_BY = re.compile(
    r"/_(?:delete_by_query|update_by_query|bulk|reindex|doc|create|update|rollover|close|aliases)\b"
)
"""Elasticsearch's addresses that change something."""
_BY_HAND = re.compile(r"(?:dict|gopher|telnet)://", re.IGNORECASE)
"""Addresses by which a service is told anything at all, a database too."""
_FTP_CHANGES = re.compile(r"[-+*]?(?:DELE|RMD|MKD|RNFR|RNTO|STOR|SITE|rm|rmdir|mkdir|rename|chmod|chown|ln|symlink)\b")
_QUERY = re.compile(r"^q(?:uery)?=")
_CHANGES = re.compile(r"\s*(?:drop|delete|alter|create)\s", re.IGNORECASE)


def curl(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``curl``: what it sends, where it writes, whom it asks.
    """
    argv = call.argv[1:]
    urls = [*o.plain(argv, _CURL_VALUED), *o.options(argv, "--url")]
    if (o.option(argv, "--proto-default") or "").lower() == "file":
        urls = [url if "://" in url else f"file://{url}" for url in urls]
    if any(map(_FTP_CHANGES.match, o.options(argv, "-Q", "--quote", "--postquote", "--prequote"))):
        inquiry.object("outside", call, "files of another machine would change")
    if not _addresses(inquiry, call, urls):
        return HOLE
    for path in _sent(argv):
        inquiry.use(path, call)
    if o.has_flag(argv, "n", "--netrc", "--netrc-optional"):
        inquiry.object("secret", call, "the person's logins would be used")
    for socket in o.options(argv, "--unix-socket", "--abstract-unix-socket"):
        if _SOCKET.search(socket):
            inquiry.object("exec-unknown", call, f"`{shown(socket)}` is another program's socket")
        inquiry.use(socket, call)
    _downloads(inquiry, call, urls)
    method = (o.option(argv, "-X", "--request") or "").upper()
    sends = method not in _ASKING or any(word.startswith(_SENDING) for word in argv)
    if sends and any(_FORGE.search(url) for url in urls):
        inquiry.object("git", call, "the forge may only be read")
    bodies = o.options(argv, "-d", "--data", "--data-binary", "--data-raw", "--data-urlencode", "--json")
    if any(_DATABASE_PORTS.search(url) for url in urls):
        _asks_database(inquiry, call, urls, method, bodies)
    return HOLE


def _sent(argv: tuple[str, ...]) -> Iterator[str]:
    """
    The files that curl sends, or takes its own options from.
    """
    for value in o.options(argv, "-d", "--data", "--data-binary", "--data-ascii", "--json", "-H", "--header"):
        yield value[1:] if value.startswith("@") else value.partition("=@")[2]
    for value in o.options(argv, "--data-urlencode"):
        named = _NAMED_FILE.match(value)
        yield value[named.end() :] if named else value.partition("=@")[2]
    for value in o.options(argv, "-F", "--form"):
        yield from _FORM_FILE.findall(value)[:1]
    for value in o.options(argv, "-T", "--upload-file", "-K", "--config", "--netrc-file", "-b", "--cookie"):
        yield "" if "=" in value else value


def _downloads(inquiry: Inquiry, call: Invocation, urls: list[str]) -> None:
    """
    The files that curl writes: what is in them is only known when it runs.
    """
    argv = call.argv[1:]
    folder = o.option(argv, "--output-dir")
    for path in o.options(argv, *_WRITING):
        inquiry.use(path, call, writes=True)
        if is_known(path):
            inside = path if folder is None or path == folder else f"{folder}/{path}"
            inquiry.state.files[absolute(inside, call.cwd[-1])] = HOLE
    if o.has_flag(argv, "OJ", "--remote-name", "--remote-name-all", "--remote-header-name"):
        for url in urls:
            inquiry.state.files[absolute(url.rstrip("/").rsplit("/", 1)[-1] or "index.html", call.cwd[-1])] = HOLE


def _asks_database(inquiry: Inquiry, call: Invocation, urls: list[str], method: str, bodies: list[str]) -> None:
    """
    Databases that are spoken to by HTTP, at the ports they are known for: what is sent must only ask.
    """
    asks = method in _ASKING or any(map(_SEARCHES.search, urls))
    texts = [_QUERY.sub("", unquote_plus(body)) for body in bodies]
    queries = [unquote_plus(url.partition("query=")[2] or url.partition("q=")[2]) for url in urls]
    changing = (
        (not asks and any(map(_CHANGES_BY.search, urls)))
        or any(changes(text) or _CHANGES.match(text) for text in texts)
        or any(map(changes, queries))
    )
    if changing or (not asks and (not texts or not all(map(only_reads, texts)))):
        inquiry.object("db", call, "it would change a database")


def _dotted(url: str) -> str:
    """
    The host of *url* as four numbers, where it is an IPv4 address in any of the forms that inet_aton(3) takes, else nothing.
    """
    found = _NUMBERS.match(url)
    try:
        parts = (
            [int(part, 16 if part[:2] in {"0x", "0X"} else 8 if part[0] == "0" else 10) for part in found[1].split(".")]
            if found
            else []
        )
    except ValueError:
        return ""
    if not 1 <= len(parts) <= 4 or any(part > 255 for part in parts[:-1]):
        return ""
    whole = sum(part << 8 * (3 - at) for at, part in enumerate(parts[:-1])) + parts[-1]
    return ".".join(str(whole >> shift & 255) for shift in (24, 16, 8, 0))


def _addresses(inquiry: Inquiry, call: Invocation, urls: list[str]) -> bool:
    """
    Judge what is asked for; False when nothing else matters any more.
    """
    for url in urls:
        if url.lower().startswith("file:"):
            inquiry.use(re.sub(r"^file:(?://(?:localhost)?)?", "", url, flags=re.IGNORECASE) or "/", call)
        elif _BY_HAND.match(url):
            inquiry.object("db", call, f"`{shown(url)}` may tell a database anything")
        elif _METADATA.search(url) or _METADATA.search(_dotted(url)):
            inquiry.object("secret", call, f"`{shown(url)}` gives out the machine's credentials")
            return False
    return True


_WGET_WRITING = o.words("""
    -O --output-document -P --directory-prefix -o --output-file -a --append-output --save-cookies
""")


def wget(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``wget``: as `curl`; without ``-O`` it writes here.
    """
    argv = call.argv[1:]
    urls = o.plain(argv, _WGET_VALUED)
    if not _addresses(inquiry, call, urls):
        return HOLE
    for path in o.options(argv, "--post-file", "--body-file", "-i", "--input-file", "--load-cookies"):
        inquiry.use(path, call)
    for text in o.options(argv, "--use-askpass"):
        inquiry.text(text)
    target = o.option(argv, "-O", "--output-document")
    folder = o.option(argv, "-P", "--directory-prefix")
    for path in o.options(argv, *_WGET_WRITING):
        inquiry.use(path, call, writes=True)
    for url in urls:
        name = target or f"{folder + '/' if folder else ''}{url.split('?')[0].rstrip('/').rsplit('/', 1)[-1]}"
        if name != "-" and is_known(name):
            inquiry.state.files[absolute(name, call.cwd[-1])] = HOLE
    method = (o.option(argv, "--method") or "GET").upper()
    sends = method not in {"GET", "HEAD"} or any(word.startswith("--post") for word in argv)
    if sends and any(map(_FORGE.search, urls)):
        inquiry.object("git", call, "the forge may only be read")
    if any(map(_DATABASE_PORTS.search, urls)):
        _asks_database(inquiry, call, urls, method, o.options(argv, "--post-data", "--body-data"))
    return HOLE


_METHODS = o.words("GET HEAD POST PUT PATCH DELETE OPTIONS")


def http(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``http``, ``xh``: HTTPie and its like.
    """
    words = o.plain(
        call.argv[1:],
        o.words("""
            -o --output -a --auth -A --auth-type --session --timeout --proxy --verify --print -p -s --style
        """),
    )
    method = words[0].upper() if words and words[0].upper() in _METHODS else ""
    urls = words[1:2] if method else words[:1]
    sends = method not in {"", "GET", "HEAD"} or len(words) > (2 if method else 1)
    if _addresses(inquiry, call, urls) and sends and any(map(_FORGE.search, urls)):
        inquiry.object("git", call, "the forge may only be read")
    elif any(map(_DATABASE_PORTS.search, urls)):
        _asks_database(inquiry, call, urls, method, words[2:] if method else words[1:])
    for word in words[1:]:
        if match := re.search(r"[=:]?@(.+)$", word):
            inquiry.use(match.group(1), call)
    for path in o.options(call.argv[1:], "-o", "--output"):
        inquiry.use(path, call, writes=True)
    return HOLE


_SOCAT_RUNS = re.compile(r"(?:EXEC|SYSTEM|SHELL)(?::(['\"]?)([^,'\"]*)\1)?", re.IGNORECASE)
_SOCAT_OPENS = re.compile(r"(OPEN|FILE|CREATE|GOPEN):([^,\s]+)", re.IGNORECASE)
_CACHES = re.compile(r"\b(?:11211|6379)\b")
"""The ports of memcached and redis."""
_CACHE_CHANGES = re.compile(r"\b(?:flush_all|flushall|flushdb|set|delete|del)\b", re.IGNORECASE)


def raw(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``nc``, ``socat``, ``telnet``: a port may be tried and written to; no program may stand behind one.
    """
    argv = call.argv[1:]
    text = " ".join(argv)
    if call.program == "socat":
        _joins(inquiry, call, text)
    elif o.has_flag(argv, "ec" if call.program != "telnet" else "", "--exec", "--sh-exec", "--lua-exec"):
        inquiry.object("exec-unknown", call, "a program would be run for whoever connects")
    elif _CACHES.search(text) and _CACHE_CHANGES.search(call.stdin or ""):
        inquiry.object("db", call, "it would change a database")
    elif o.has_flag(argv, "U") and _SOCKET.search(text):
        inquiry.object("exec-unknown", call, "another program's socket may not be used")
    return HOLE


def _joins(inquiry: Inquiry, call: Invocation, text: str) -> None:
    """
    ``socat``: what its two addresses are.
    """
    for _, command in _SOCAT_RUNS.findall(text):
        if command and is_known(command):
            inquiry.text(command)
        inquiry.object("exec-unknown", call, "a program would be run for whoever connects")
    for verb, path in _SOCAT_OPENS.findall(text):
        inquiry.use(path, call, writes=verb.upper() == "CREATE")
    if "UNIX" in text.upper() and _SOCKET.search(text):
        inquiry.object("exec-unknown", call, "another program's socket may not be used")


HANDLERS: dict[str, Handler] = {
    **o.each("curl curlie", curl),
    **o.each("wget wget2 aria2c axel", wget),
    **o.each("http https xh xhs httpie", http),
    **o.each("nc ncat netcat socat telnet cryptcat websocat", raw),
}
