"""
Programs in other languages given as text: what their string literals say, next to the calls that run, delete or write.

No grammar for each language: literals are told from code, and calls are known by name.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from orchestrd.policy.code.acts import Act, Kind
from orchestrd.policy.shell.words import unescaped
from orchestrd.policy.tables import words

_LITERAL = re.compile(
    r"""
    \"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|%x[\[({<|!]([^\])}>|!]*)[\])}>|!]
    |qx[\[({</|!]([^\])}>/|!]*)[\])}>/|!]|\bq[qw]?[\[({<|!/]([^\])}>|!/]*)[\])}>|!/]
    |%[wWqQ][\[({<|]([^\])}>|]*)[\])}>|]|\[\[(.*?)\]\]
    """,
    re.DOTALL | re.VERBOSE,
)
_COMMENT = {
    "node": re.compile(r"(?<![:\w'\"])//[^\n]*|/\*.*?\*/", re.DOTALL),
    "ruby": re.compile(r"(?m)(?:^|\s)#(?!\{)[^\n]*"),
    "perl": re.compile(r"(?m)(?:^|\s)#[^\n]*"),
    "php": re.compile(r"(?m)(?<![:\w'\"])//[^\n]*|(?:^|\s)#[^\n]*|/\*.*?\*/", re.DOTALL),
}
_RUNS = re.compile(
    r"""
    (?<![\w$.])(?:[\w$]+(?:\([^()]*\))?\s*[.:]+\s*)*(shell-command\w*|call-process\w*|start-process|os:cmd
    |execSync|execFileSync|execFile|spawnSync|spawn|exec|execa\w*|fork|system|popen\w*|shell_exec|passthru
    |proc_open|pcntl_exec|capture2e?|capture3|pipeline\w*|qx|run|sh|shell|cmd|System\.cmd|System\.shell
    |Open3\.\w+|os\.execute|io\.popen|Deno\.Command|Deno\.run|Bun\.spawn\w*|\$|system2|shell\.exec
    |Process\.\w+|Runtime\.\w+|ProcessBuilder|createProcess|readProcess|callCommand|callProcess
    |Command::new|exec\.Command\w*|Kernel\.\w+|IO\.popen|PTY\.spawn|spawnProcess|executeShell|doit
    |runProcess|command|execCommand|shellJs|call|output|check_call|`)\s*(?=[(\[\"'`{$<%]|\s[\"'\[]
    |\s*q[wqx]?[(\[{<|!/])
    """,
    re.VERBOSE,
)
_BACKTICKS = frozenset({"ruby", "perl", "php"})
_DELETES = re.compile(
    r"""
    \b(?:(?:rm|rmdir|unlink|rimraf|emptyDir)(?:Sync)?|(?:fs|fse|fsExtra|fs-extra['\"]\))\.(?:remove
    |move)(?:Sync)?|array_map\(['\"]unlink['\"]|delete-file|delete-directory|file:del\w*|Pathname\.\w+
    |File\.(?:delete|unlink|rm_f|rm_rf)|FileUtils\.(?:rm\w*|remove\w*|safe_unlink)|Dir\.(?:rmdir|delete
    |unlink|rm_rf)|rmtree|remove_tree|Deno\.remove\w*|os\.(?:remove|Remove|RemoveAll)|file\.remove|unlink
    |File\.rm\w*|File\.rmdir|fs::remove_\w+|Files\.delete\w*|deleteRecursively|deleteDirectory|rmdir|rm_rf
    |rm_r|rm_f|recursive_remove|lfs\.rmdir|fs\.promises\.(?:rm|unlink|rmdir))\s*(?=[(\s\"'])
    """,
    re.VERBOSE,
)
_REQUIRED = re.compile(
    r"""
    require\(['\"](?:rimraf|del|trash|fs-extra)['\"]\)(?:\.(?:sync|rimraf|remove|removeSync|native
    |emptyDir\w*|moveSync|default))?\s*(?=\()
    """,
    re.VERBOSE,
)
_MOVES = re.compile(
    r"""
    \b(?:rename-file|rename(?:Sync)?|File\.rename|FileUtils\.mv|os\.rename|Deno\.rename\w*|file\.rename
    |File\.rename!?|move)\s*(?=[(\s\"'])
    """,
    re.VERBOSE,
)
_WRITES = re.compile(
    r"""
    \b(?:writeFile(?:Sync)?|appendFile(?:Sync)?|createWriteStream|outputFile\w*|mkdir(?:Sync)?
    |copyFile(?:Sync)?|cpSync|symlink(?:Sync)?|chmod(?:Sync)?|truncate(?:Sync)?|openSync|File\.(?:write
    |binwrite|symlink|chmod|open|new|write!|touch)|IO\.write|FileUtils\.(?:touch|mkdir\w*|cp\w*|ln\w*
    |chmod\w*)|file_put_contents|fopen|touch|open|Deno\.(?:write\w+|mkdir\w*)|Bun\.write|io\.open
    |writeLines|write\.\w+|sink|saveRDS|spew|io\.output|fs::write|Files\.write\w*|ofstream
    |writeFileSync)\s*(?=[(\s\"'])
    """,
    re.VERBOSE,
)
_READS = re.compile(
    r"""
    \b(?:readFile(?:Sync)?|createReadStream|readdir(?:Sync)?|File\.(?:read|readlines|foreach|open|new
    |binread|stream!|read!)|IO\.(?:read|readlines|foreach|popen)|file_get_contents|fopen|file|readfile
    |parse_ini_file|include|require_once|scandir|glob|Dir\.(?:\[\]|glob|entries|children)|Deno\.(?:read\w+)
    |Bun\.file|io\.open|io\.lines|readLines|read\.\w+|readRDS|source|slurp|open|require|import|load|dofile
    |loadfile|fs::read\w*|Files\.read\w*|getline|readJson\w*|dotenv|config)\s*(?=[(\s\"'<])
    """,
    re.VERBOSE,
)
_DYNAMIC = re.compile(
    r"""
    \b(?:eval|instance_eval|class_eval|assert|create_function|Function|vm\.run\w*|runInThisContext
    |loadstring|load|do)\s*[( ]\s*([^\s()\"'`][^)]*)?
    """,
    re.VERBOSE,
)
_DECODES = re.compile(
    r"""
    atob\s*\(|Buffer\.from\s*\([^)]*['\"](?:base64|hex)['\"]|decode_base64|base64_decode
    |Base64\.\w*decode\w*|unpack\s*\(?['\"]m|str_rot13|gzinflate|hex2bin|fromCharCode|pack\s*\(
    |\.unpack1?\(
    """,
    re.VERBOSE,
)
_ENVIRONMENT = re.compile(
    r"""
    (?:process\.env|ENV|\$_ENV|\$_SERVER|Deno\.env|Bun\.env|os\.environ|System\.get_env|getenv|Sys\.getenv
    |\$ENV|%ENV|import\.meta\.env|ENVIRON)\b
    """,
    re.VERBOSE,
)
_ONE_VARIABLE = re.compile(
    r"""
    (?:process\.env\.|process\.env\[['\"]|ENV\[['\"]|ENV\.fetch\(['\"]|\$_ENV\[['\"]|\$_SERVER\[['\"]
    |Deno\.env\.get\(['\"]|Bun\.env\.|getenv\(['\"]|get_env\(['\"]|\$ENV\{['\"]?|import\.meta\.env\.
    |ENVIRON\[\\?['\"])(\w+)
    """,
    re.VERBOSE,
)
_NETWORK = re.compile(
    r"""
    (?:require\s*\(?\s*['\"](?:node:)?(?:net|tls|dgram|socket)['\"]\)?)|\b(?:net\.(?:connect
    |createConnection|Socket)|TCPSocket|IO::Socket|fsockopen|socket\.tcp|stream_socket_client|Deno\.connect
    |TCPServer)\b
    """,
    re.VERBOSE,
)
_SHELLS = re.compile(r"['\"](?:/bin/)?(?:ba|z|da|k)?sh['\"]|\bsh\s+-i\b|exec\s+[\"']/bin")
_REPOSITORY = re.compile(
    r"""
    \b(?:isomorphic-git|gert::|git2r::|usethis::|magit|simple-git|nodegit|js-git|Rugged|ruby-git
    |Git\.(?:open|init|clone)|Git::Repository|git2|go-git|JGit|jgit|LibGit2Sharp|gitoxide|czz/git|octokit
    |@octokit|gitly|dugite|libgit2|Octokit|egit|Gitlab|git4idea|GitElixir|SimpleGit)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_REPOSITORY_CHANGES = re.compile(
    r"""
    (?:[.:>]\s*|magit-)(add\w*|commit\w*|push\w*|pull\w*|fetch|merge\w*|rebase|reset\w*|checkout\w*
    |stash\w*|tag|addTag|createTag|tag_create|branch|deleteBranch|createBranch|create_branch|remove\w*|rm
    |mv|writeRef|init|clone|write_tree|setHead|set_head|updateRef|create\w*|delete\w*|update\w*|setConfig
    |config|remote|raw|use_git\w*|pr_push|git_(?:add|commit|push|pull|merge|reset|branch_create|tag_create
    |stash\w*)|call-git|run-git)\s*\(?
    """,
    re.VERBOSE,
)
_DATABASE_CALLS = re.compile(
    r"""
    (?<![\w$])(?:sqlite-execute|query|execute|exec|raw|\$executeRaw\w*|\$queryRaw\w*|run|prepare|exec_query
    |executeUpdate|unprepared|select_all|statement|rawQuery|command|do|sql|Repo\.query!?)\s*(?=[(\s\"'`])
    """,
    re.VERBOSE,
)
_STRONG_DROPS = re.compile(
    r"""
    (?<!\w)(?:runMigrations|undoLastMigration|dropDatabase|dropTable\w*|dropSchema|dropCollection
    |flush[aA]ll|flush[dD]b|delete_all|destroy_all|update_all|drop_table\w*|migrate\.(?:latest|up|down
    |rollback)|Ecto\.Migrator\.run|Artisan::call\(['\"](?:migrate|db:)|MigrationContext|Schema::drop\w*
    |schema\.drop\w*|drop_all|create_all|Rake::Task\[['\"]db:(?!schema:dump)|Repo\.(?:delete_all|update_all
    |insert_all)|->truncate\(|\.truncate\(|insert_all!?|upsert_all|deleteMany|updateMany|insertMany
    |createMany|->forceDelete\(|remove_column|add_column|rename_column|drop_column)
    """,
    re.VERBOSE,
)
_DATABASE_DROPS = re.compile(
    r"""
    \b(?:dropDatabase|dropTable\w*|createTable|dropSchema|deleteMany|deleteOne|insertMany|insertOne
    |updateMany|updateOne|dropCollection|flushall|flushdb|flushAll|flushDb|runMigrations?|migrate\.latest
    |migrate\.(?:up|down|rollback)|sync\(\s*\{\s*force|delete_all|destroy_all|update_all|truncate
    |drop_table|create_table|db:migrate|Migrator|MigrationContext|migrate!|invoke_all|synchronize
    |schema\.(?:drop|create)|Schema::(?:drop|create)\w*|Ecto\.Migrator\.\w+|Artisan::call|load_schema|purge
    |Repo\.(?:delete|insert|update)\w*!?|drop_all|create_all|collection\.drop|remove\(\{)
    """,
    re.VERBOSE,
)
_DATABASE_MODULES = re.compile(
    r"""
    \b(?:pg|mysql2?|sqlite3|better-sqlite3|knex|sequelize|typeorm|mongoose|mongodb|ioredis|redis|prisma
    |@prisma/client|drizzle|ActiveRecord|PDO|mysqli|DBI|DB::|Sequel|Ecto|Repo|Mysql2|PG|SQLite3|Mongo|Redis
    |db|database|sql|Rake|Artisan|DriverManager|jdbc|kysely|postgres|User|Post|Account|App::|App\\\\|Order
    |sqlite)\b
    """,
    re.VERBOSE,
)
_VARIABLE = re.compile(
    r"""
    (?:\b(?:const|let|var|my|local|val|our|def)\s+|(?<![\w.]))[$@]?(\w+)\s*(?::=|=)\s*(\"(?:[^\"\\\n]
    |\\.)*\"|'(?:[^'\\\n]|\\.)*')
    """,
    re.VERBOSE,
)
_CONCATENATED = re.compile(
    r"""
    (\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')\s*(?:\+|\.\.?|<>|\|\||~)\s*(\"(?:[^\"\\\n]|\\.)*\"
    |'(?:[^'\\\n]|\\.)*')
    """,
    re.VERBOSE,
)
_MAX = 60_000


class _Call(NamedTuple):
    name: str
    literals: list[str]
    literal_only: bool


def acts(text: str, language: str) -> list[Act]:
    """
    What the program *text* in *language* (node, ruby, perl, php, lua …) would do, as far as its literals say.
    """
    if len(text) > _MAX:
        text = text[:_MAX]
    written: list[Act] = []
    if comment := _COMMENT.get(language):
        text = _without_comments(text, comment)
    for _ in range(8):
        joined = _CONCATENATED.sub(lambda match: _literal(_content(match.group(1)) + _content(match.group(2))), text)
        if joined == text:
            break
        text = joined
    text = re.sub(r"\[\s*['\"](\w+)['\"]\s*\](?=\s*\()", r".\1", text)
    text = re.sub(r"\b(?:os|require\(['\"](?:node:)?os['\"]\))\.homedir\(\)\s*\+\s*(['\"])", r"\1~", text)
    text = re.sub(
        r"(?:require\(['\"](?:node:)?path['\"]\)|\bpath)\.(?:join|resolve)\(\s*((?:['\"][^'\"]*['\"]\s*,?\s*)+)\)",
        lambda match: _literal("/".join(re.findall(r"['\"]([^'\"]*)['\"]", match.group(1)))),
        text,
    )
    for match in re.finditer(
        r"(?:writeFileSync|outputFileSync|File\.write|file_put_contents)\(\s*([\"'][^\"']+[\"'])\s*,\s*(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')",
        text,
    ):
        written.append(Act("content", [_content(match.group(1)), _content(match.group(2))]))
    variables = {name: _content(literal) for name, literal in _VARIABLE.findall(text)}
    found: list[Act] = written
    for match in _RUNS.finditer(text):
        if _in_literal(text, match.start()):
            continue
        call = _call(text, match, variables)
        found += _run(call, language)
    for match in re.finditer(
        r"[\"']([\w./~-]+)[\"']\s*\)\s*\.\s*(?:delete|rmtree|unlink|remove|rm_rf|rmdir|deleteSync)\s*(?:\(|;|$|\s)",
        text,
    ):
        found.append(Act("delete", match.group(1)))
    if language in words("lisp other r haskell jvm julia elixir erlang lua"):
        found += _less_known(text)
    if language in _BACKTICKS or language == "zx":
        for match in _LITERAL.finditer(text):
            literal = match.group()
            if literal[0] == "`" or literal.startswith(("%x", "qx")):
                found.append(Act("text", _content(literal)))
    for pattern, kind in (
        (_REQUIRED, "delete"),
        (_DELETES, "delete"),
        (_MOVES, "move"),
        (_WRITES, "write"),
        (_READS, "read"),
    ):
        found += _files(text, pattern, kind, variables, language)  # type: ignore[arg-type]
    for match in _DYNAMIC.finditer(text):
        if (
            not _in_literal(text, match.start())
            and (match.group(1) or "").strip()
            and match.group().lstrip()[:2] != "do"
        ):
            blocks = match.group().lstrip()[:4] == "load" and re.match(r"[\w\s.$]*[\[{]", match.group(1) or "")
            if _DECODES.search(match.group(1) or "") or not blocks:
                found.append(Act("opaque", "what it evaluates is only known when it runs"))
    for name in _ONE_VARIABLE.findall(text):
        found.append(Act("variable", name))
    if re.fullmatch(r"\s*process\.env\s*;?\s*", text) or re.search(
        r"\bENV\.(?:to_h|to_a|each|inspect|map|sort|select|values)|credentials\.(?:to_h|config|\w*secret\w*|\w*key\w*)",
        text,
    ):
        found.append(Act("variable", "*"))
    if _ENVIRONMENT.search(text) and re.search(
        r"(?:log|print|puts|p|inspect|stringify|dump|var_dump|print_r|send|write|echo|say|dbg|pp|keys|entries|for|in)\b[^;\n]{0,40}(?:process\.env|\bENV|\$_ENV|Deno\.env\.toObject|Bun\.env|getenv\(\)|%ENV|System\.get_env\(\)|ENVIRON)(?![.\[\w{]|\.fetch)",
        text,
    ):
        found.append(Act("variable", "*"))
    if _NETWORK.search(text) and (_SHELLS.search(text) or re.search(r"pipe\(|dup2|exec|popen", text)):
        found.append(Act("opaque", "a shell for whoever connects"))
    for match in re.finditer(
        r"\b(?:include|require|source|import|load|fetch|loadstring|Function|eval|do|getURL|read\.\w+)\w*\s*\(?\s*['\"`]((?:https?|data|ftp):[^'\"`]*)",
        text,
    ):
        if match.group().startswith(("include", "require", "source", "import", "load", "eval")):
            found.append(Act("opaque", f"what `{match.group(1)[:40]}` holds is only known when it runs"))
    if re.search(r"\bkill\w*\b[^;\n]*(?:getppid|ppid)|getppid[^;\n]*kill", text):
        found.append(Act("opaque", "its parent process would be ended"))
    if re.search(r"\bfork\b\s*(?:while|until|for)|(?:while|until|loop|for)\b[^;\n]{0,30}\bfork\b", text):
        found.append(Act("opaque", "it would start itself again and again"))
    if match := re.search(r"['\"]([^'\"]*)['\"]\s*\.(?:execute\(|!|#!|!!)", text):
        found.append(Act("text", match.group(1)))
    for match in re.finditer(r"\bWorker\b[^'\"`]*(['\"`])((?:(?!\1).|\\.)*)\1\s*,\s*\{\s*eval", text):
        found += acts(unescaped(match.group(2)), language)
    for match in re.finditer(
        r"(?<![\w.])([\w.$>:-]*)\s*[(\s]\s*['\"`]((?:/(?:etc|home|root|var|proc|sys|opt|srv|mnt|boot|Users)/|~/)[^'\"`\s]*)['\"`]",
        text,
    ):
        if match.group(1).rsplit(".", 1)[-1] not in words("""
            log print puts p echo info warn error debug say get post match test includes startsWith replace
            inspect printf println return pp dbg write
        """):
            found.append(Act("look", match.group(2)))
    if _REPOSITORY.search(text) and (match := _REPOSITORY_CHANGES.search(text[_REPOSITORY.search(text).start() :])):  # type: ignore[union-attr]
        found.append(Act("git", match.group(1)))
    for match in _STRONG_DROPS.finditer(text):
        if not _in_literal(text, match.start()):
            found.append(Act("db", match.group()))
    if _DATABASE_MODULES.search(text):
        for match in _DATABASE_DROPS.finditer(text):
            if not _in_literal(text, match.start()) or ":" in match.group():
                found.append(Act("db", match.group()))
        for match in _DATABASE_CALLS.finditer(text):
            if not _in_literal(text, match.start()):
                found += [Act("sql", literal) for literal in _call(text, match, variables).literals[:1]]
    return found


def _less_known(text: str) -> list[Act]:
    """
    Languages of which only little is known: a command or a path that stands in a literal and is not merely printed.
    """
    found: list[Act] = []
    spoken = re.sub(
        r"\b(?:print\w*|println!?|puts|cat|display|princ|message|say|echo|io\.write|IO\.puts|writeln|show|format|warn\w*|putStrLn|Console\.Write\w*)\b\s*[(\s]\s*(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')",
        " ",
        text,
    )
    literals = [_content(one.group()) for one in _LITERAL.finditer(spoken)]
    for literal in literals:
        if re.match(r"\s*(?:git|rm|psql|gh|alembic)\s+\S", literal):
            found.append(Act("text", literal))
    joined = re.search(r"[\"'](git|rm|psql|gh|hg|alembic)[\"'][\s,()\[\]{}.:a-z]*[\"']([^\"']+)[\"']", spoken)
    if joined:
        found.append(Act("argv", [joined.group(1), *joined.group(2).split()]))
    for match in re.finditer(
        r"(?i)(?:\b|(?<=[.:]))\w*(?:delete|remove|unlink|rm_rf|rmtree|deldir|erase)\w*[!?]?\s*(?:\(|\s|\.)\s*(?:[\w.:]*\(\s*)*[\"']([^\"']+)[\"']",
        spoken,
    ):
        if "/" in match.group(1) or "." in match.group(1) or re.fullmatch(r"[\w-]+", match.group(1)):
            found.append(Act("delete", match.group(1)))
    for match in re.finditer(
        r"[\"']([\w./~-]+)[\"']\s*\)?\s*\.\s*(?:delete\w*|remove\w*|deleteDir|unlink)\s*\(", spoken
    ):
        found.append(Act("delete", match.group(1)))
    for match in re.finditer(r"getenv[\"'\s(]+([A-Z_]{3,})|(?:Sys\.getenv|get_env|env)\(\s*[\"'](\w+)", spoken):
        found.append(Act("variable", match.group(1) or match.group(2)))
    return found


def _run(call: _Call, language: str) -> list[Act]:
    literals = call.literals
    name = call.name.rsplit(".", 1)[-1]
    if not literals:
        if (
            name in words("execSync exec system shell_exec passthru popen spawn spawnSync execFile execFileSync")
            and not call.literal_only
            and language != "lua"
        ):
            return [Act("opaque", f"what {name} runs is only known when it runs")]
        return []
    if (
        name in words("run call output doit pipeline ` exec match")
        and language == "node"
        and len(literals) == 1
        and name != "exec"
    ):
        return []
    if len(literals) == 1 or " " in literals[0].strip():
        return [Act("text", literals[0])]
    return [Act("argv", literals)]


def _files(text: str, pattern: re.Pattern[str], kind: Kind, variables: dict[str, str], language: str) -> list[Act]:
    found: list[Act] = []
    for match in pattern.finditer(text):
        if _in_literal(text, match.start()):
            continue
        call = _call(text, match, variables)
        name = match.group().strip().rsplit(".", 1)[-1].rstrip("(")
        before = text[max(0, match.start() - 2) : match.start()]
        if before.endswith("->") or (
            before.endswith(".")
            and name in words("remove delete open load require config import file move del touch glob rename")
        ):
            continue
        literals = call.literals
        if kind == "read" and name in {"require", "import", "load", "config", "include"}:
            literals = [one for one in literals[:1] if "/" in one or one.startswith(".")]
        if kind in {"write", "read"} and name in {"open", "fopen", "new", "openSync", "createWriteStream"}:
            mode = next((one for one in literals[1:] if re.fullmatch(r"[rwaxb+]{1,3}|[+]?[<>]{1,2}\S*", one)), "")
            first = literals[0] if literals else ""
            if match2 := re.match(r"\s*(\+?[<>]{1,2})\s*(\S.*)", first):
                mode, literals = match2.group(1), [match2.group(2)]
            elif re.fullmatch(r"\+?[<>]{1,2}(?::\S+)?", first.strip()) and len(literals) > 1:
                mode, literals = first.strip(), literals[1:]
            elif first.strip() not in {"-|", "|-"} and (first.strip().startswith("|") or first.strip().endswith("|")):
                if kind == "write":
                    found.append(Act("text", first.strip().strip("|")))
                continue
            elif first.strip() in {"-|", "|-"}:
                if kind == "write":
                    found.append(
                        Act(
                            "argv" if len(literals) > 2 else "text",
                            literals[1:] if len(literals) > 2 else "".join(literals[1:]),
                        )
                    )
                continue
            writes = bool(re.search(r"[wax+>]", mode)) or name == "createWriteStream"
            if writes != (kind == "write"):
                continue
        if kind == "delete":
            found += [Act("delete", one) for one in literals] if literals else [Act("delete", None)]
        elif kind == "move":
            if len(literals) > 1:
                found.append(Act("move", literals[:2]))
        elif kind == "write" and name in words("copyFileSync copyFile cpSync cp cp_r symlinkSync symlink"):
            if len(literals) > 1:
                found += [Act("read", literals[0]), Act("write", literals[1])]
        elif literals:
            found.append(Act(kind, literals[0]))
    return found


def _call(text: str, match: re.Match[str], variables: dict[str, str]) -> _Call:
    """
    The literals that the call which *match* names is given.
    """
    at = match.end()
    while at < len(text) and text[at] in " \t":
        at += 1
    end = _end(text, at)
    inside = text[at:end]
    literals = [_content(one.group()) for one in _LITERAL.finditer(inside)]
    if not literals:
        names = re.findall(r"[$@]?(\w+)", inside)
        literals = [variables[name] for name in names[:3] if name in variables]
    flat: list[str] = []
    for one in literals:
        flat.append(one)
    name = match.group(1) if match.lastindex else match.group()
    return _Call((name or "").strip(), flat, not re.search(r"[\w$]", inside))


def _end(text: str, at: int) -> int:
    opener = text[at : at + 1]
    closer = {"(": ")", "[": "]", "{": "}"}.get(opener)
    if closer is None:
        stop = re.compile(r"[;\n]").search(_LITERAL.sub(lambda one: "x" * len(one.group()), text[at : at + 2000]))
        return at + stop.start() if stop else min(len(text), at + 2000)
    level, place = 0, at
    while place < min(len(text), at + 4000):
        if (literal := _LITERAL.match(text, place)) and text[place] in "\"'`":
            place = literal.end()
            continue
        level += (text[place] in "([{") - (text[place] in ")]}")
        place += 1
        if level == 0:
            break
    return place


def _in_literal(text: str, place: int) -> bool:
    """
    True when *place* lies inside of a string literal.
    """
    line = text.rfind("\n", 0, place) + 1
    return any(
        one.start() + line < place < one.end() + line
        for one in _LITERAL.finditer(text[line : place + 400])
        if text[line + one.start()] in "\"'`"
    )


def _without_comments(text: str, comment: re.Pattern[str]) -> str:
    return comment.sub(lambda match: match.group() if _in_literal(text, match.start() + 1) else " ", text)


def _content(literal: str) -> str:
    if literal[:2] in words("%x qx %w %W %q %Q qw qq"):
        return literal[3:-1]
    if literal.startswith("[["):
        return literal[2:-2]
    if literal[:1] == "q" and not literal[1:2].isalnum():
        return literal[2:-1]
    inside = literal[1:-1]
    inside = re.sub(r"\$\{[^}]*\}|#\{[^}]*\}", "\ue000(…)\ue001", inside) if literal[0] in '"`' else inside
    return unescaped(inside) if "\\" in inside else inside


def _literal(content: str) -> str:
    return '"' + content.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
