"""
Calls that matter to a rule, in the languages that are read without a grammar: patterns of their names.
"""

from __future__ import annotations

import re

from orchestrd.policy.tables import words

RUNS = re.compile(
    r"""
    (?<![\w$.])(?:[\w$]+(?:\([^()]*\))?\s*[.:]+\s*){0,40}(shell-command\w*|call-process\w*|start-process|os:cmd
    |execSync|execFileSync|execFile|spawnSync|spawn|exec|execa\w*|fork|system|popen\w*|shell_exec|passthru
    |proc_open|pcntl_exec|capture2e?|capture3|open[23]|pipeline\w*|qx|run|sh|shell|cmd|System\.cmd|System\.shell
    |Open3\.\w+|os\.execute|io\.popen|Deno\.Command|Deno\.run|Bun\.spawn\w*|\$|system2|shell\.exec
    |Process\.\w+|Runtime\.\w+|ProcessBuilder|createProcess|readProcess|callCommand|callProcess
    |Command::new|exec\.Command\w*|Kernel\.\w+|IO\.popen|PTY\.spawn|spawnProcess|executeShell|doit
    |runProcess|command|execCommand|shellJs|call|output|check_call|`)\s*(?=[(\[\"'`{$<%]|\s[\"'\[]
    |\s*q[wqx]?[(\[{<|!/])
    """,
    re.VERBOSE,
)
"""Calls that run a program; the group is the last part of their name."""
LOADS_RUNNER = re.compile(r"child_process|execa|shelljs|cross-spawn|\bzx\b|process\.binding|\bimport\(|\beval\b")
"""Where JavaScript has nothing of these, its ``exec`` is no shell's."""
REQUIRED_RUNS = re.compile(
    r"""
    require\(['\"](?:execa|cross-spawn|shelljs|tinyexec|nano-spawn|spawn-sync|sudo-prompt|exec-sh)['\"]\)
    (?:\.\w+)?\s*(?=\()
    """,
    re.VERBOSE,
)
"""A package that runs programs, called as it is loaded."""
LISTS = re.compile(
    r"""
    \bDir\[\s*['\"]([^'\"]+)['\"]|<\s*['\"]?((?:~|/(?:etc|home|root|var|proc|sys|opt|srv|mnt|boot|Users))/[^'\"<>\s]*)['\"]?\s*>
    |\bopendir\b\s*\(?\s*(?:my\s+)?[$\w]+\s*,\s*['\"]([^'\"]+)['\"]
    """,
    re.VERBOSE,
)
"""Ruby's and Perl's folders and patterns whose files are listed."""
DYNAMIC = re.compile(
    r"""
    \b(?:eval|instance_eval|class_eval|assert|create_function|Function|vm\.run\w*|runIn(?:This|New)?Context
    |loadstring|load|do)\s*[( ]\s*([^\s()\"'`][^)]*)?
    """,
    re.VERBOSE,
)
"""Calls that evaluate a text; the group is what they are given when that is no literal."""
DECODES = re.compile(
    r"""
    atob\s*\(|Buffer\.from\s*\([^)]*['\"](?:base64|hex)['\"]|decode_base64|base64_decode
    |Base64\.\w*decode\w*|unpack\s*\(?['\"]m|str_rot13|gzinflate|hex2bin|fromCharCode|pack\s*\(
    |\.unpack1?\(
    """,
    re.VERBOSE,
)
"""Calls that make a text of something that cannot be read."""
DELETES = re.compile(
    r"""
    \b(?:(?:rm|rmdir|unlink|rimraf|emptyDir)(?:Sync)?|(?:fs|fse|fsExtra|fs-extra['\"]\))\.(?:remove
    |move)(?:Sync)?|array_map\(['\"]unlink['\"]|delete-file|delete-directory|file:del\w*|Pathname\.\w+
    |File\.(?:delete|unlink|rm_f|rm_rf)|FileUtils\.(?:rm\w*|remove\w*|safe_unlink)|Dir\.(?:rmdir|delete
    |unlink|rm_rf)|rmtree|remove_tree|Deno\.remove\w*|os\.(?:remove|Remove|RemoveAll)|file\.remove|unlink
    |File\.rm\w*|File\.rmdir|fs::remove_\w+|Files\.delete\w*|deleteRecursively|deleteDirectory|rmdir|rm_rf
    |rm_r|rm_f|recursive_remove|POSIX::(?:remove|unlink|rmdir)|lfs\.rmdir|fs\.promises\.(?:rm|unlink|rmdir))\s*(?=[(\s\"'])
    """,
    re.VERBOSE,
)
"""Calls that delete files."""
REQUIRED = re.compile(
    r"""
    require\(['\"](?:rimraf|del|trash|fs-extra)['\"]\)(?:\.(?:sync|rimraf|remove|removeSync|native
    |emptyDir\w*|moveSync|default))?\s*(?=\()
    """,
    re.VERBOSE,
)
"""A package that deletes, called as it is loaded."""
MOVES = re.compile(
    r"""
    \b(?:rename-file|rename(?:Sync)?|File\.rename|FileUtils\.mv|os\.rename|Deno\.rename\w*|file\.rename
    |File\.rename!?|move)\s*(?=[(\s\"'])
    """,
    re.VERBOSE,
)
"""Calls that move files."""
WRITES = re.compile(
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
"""Calls that write files."""
READS = re.compile(
    r"""
    \b(?:readFile(?:Sync)?|createReadStream|readdir(?:Sync)?|File\.(?:read|readlines|foreach|open|new
    |binread|stream!|read!)|IO\.(?:read|readlines|foreach|popen)|file_get_contents|fopen|file|readfile
    |parse_ini_file|include|require_once|scandir|glob|Dir\.(?:\[\]|glob|entries|children)|Deno\.(?:read\w+)
    |Bun\.file|io\.open|io\.lines|readLines|read\.\w+|readRDS|source|slurp|open|require|import|load|dofile
    |loadfile|fs::read\w*|Files\.read\w*|getline|readJson\w*|dotenv|config)\s*(?=[(\s\"'<])
    """,
    re.VERBOSE,
)
"""Calls that read files, or other programs."""
ENVIRONMENT = re.compile(
    r"""
    (?:process\.env|ENV|\$_ENV|\$_SERVER|Deno\.env|Bun\.env|os\.environ|System\.get_env|getenv|Sys\.getenv
    |\$ENV|%ENV|import\.meta\.env|ENVIRON)\b
    """,
    re.VERBOSE,
)
"""The whole environment."""
ONE_VARIABLE = re.compile(
    r"""
    (?:process\.env\.|process\.env\[['\"]|ENV\[['\"]|ENV\.fetch\(['\"]|\$_ENV\[['\"]|\$_SERVER\[['\"]
    |Deno\.env\.get\(['\"]|Bun\.env\.|getenv\(['\"]|get_env\(['\"]|\$ENV\{['\"]?|import\.meta\.env\.
    |ENVIRON\[\\?['\"])(\w+)
    """,
    re.VERBOSE,
)
"""One variable of the environment; the group is its name."""
NETWORK = re.compile(
    r"""
    (?:require\s*\(?\s*['\"](?:node:)?(?:net|tls|dgram|socket)['\"]\)?)|\b(?:net\.(?:connect
    |createConnection|Socket)|TCPSocket|IO::Socket|fsockopen|socket\.tcp|stream_socket_client|Deno\.connect
    |TCPServer)\b
    """,
    re.VERBOSE,
)
"""Connections that a program makes by itself."""
SHELLS = re.compile(r"['\"](?:/bin/)?(?:ba|z|da|k)?sh['\"]|\bsh\s+-i\b|exec\s+[\"']/bin")
"""A shell that is named or started."""
REPOSITORY = re.compile(
    r"""
    \b(?:isomorphic-git|gert::|git2r::|usethis::|magit|simple-git|nodegit|js-git|Rugged|ruby-git
    |Git\.(?:open|init|clone)|Git::Repository|git2|go-git|JGit|jgit|LibGit2Sharp|gitoxide|czz/git|octokit
    |@octokit|gitly|dugite|libgit2|Octokit|egit|Gitlab|git4idea|GitElixir|SimpleGit)
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Libraries for repositories and forges."""
REPOSITORY_CHANGES = re.compile(
    r"""
    (?:[.:>]\s*|magit-)(add\w*|commit\w*|push\w*|pull\w*|fetch|merge\w*|rebase|reset\w*|checkout\w*
    |stash\w*|tag|addTag|createTag|tag_create|branch|deleteBranch|createBranch|create_branch|remove\w*|rm
    |mv|writeRef|init|clone|write_tree|setHead|set_head|updateRef|create\w*|delete\w*|update\w*|setConfig
    |config|remote|raw|use_git\w*|pr_push|git_(?:add|commit|push|pull|merge|reset|branch_create|tag_create
    |stash\w*)|call-git|run-git)\s*\(?
    """,
    re.VERBOSE,
)
"""Calls of those that change something; the group is the name."""
DATABASE_MODULES = re.compile(
    r"""
    \b(?:pg|mysql2?|sqlite3|better-sqlite3|knex|sequelize|typeorm|mongoose|mongodb|ioredis|redis|prisma
    |@prisma/client|drizzle|ActiveRecord|PDO|mysqli|DBI|DB::|Sequel|Ecto|Repo|Mysql2|PG|SQLite3|Mongo|Redis
    |db|database|sql|Rake|Artisan|DriverManager|jdbc|kysely|postgres|User|Post|Account|App::|App\\\\|Order
    |sqlite)\b
    """,
    re.VERBOSE,
)
"""Libraries and models that make a text one about databases."""
DATABASE_CALLS = re.compile(
    r"""
    (?<![\w$])(?:sqlite-execute|query|execute|exec|raw|\$executeRaw\w*|\$queryRaw\w*|run|prepare|exec_query
    |executeUpdate|unprepared|select_all|statement|rawQuery|command|do|sql|Repo\.query!?)\s*(?=[(\s\"'`])
    """,
    re.VERBOSE,
)
"""Calls that are given SQL."""
DATABASE_DROPS = re.compile(
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
"""Calls that change databases where a library for them is loaded."""
STRONG_DROPS = re.compile(
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
"""Calls that change databases, whatever is loaded."""
VARIABLE_NAMES = re.compile(
    r"""
    Object\.keys\(\s*process\.env\s*\) | \bin\s+process\.env\s*\) | \bkeys\s+%ENV\b | \barray_keys\(\s*\$_ENV\s*\)
    """,
    re.VERBOSE,
)
"""The names of all variables of the environment."""
SHOWS_VARIABLES = re.compile(
    r"""
    \bENV\.(?:to_h|to_a|each|inspect|map|sort|select|values)
    |\bphpinfo\s*\(|\bSys\.getenv\(\s*\)
    |credentials\.(?:to_h|config|\w*secret\w*|\w*key\w*)
    """,
    re.VERBOSE,
)
"""All of the environment, or of an application's credentials."""
PRINTS_ENVIRONMENT = re.compile(
    r"""
    (?:log|print|puts|p|inspect|stringify|dump|var_dump|print_r|send|write|echo|say|dbg|pp|keys|entries|values|for|in)\b
    [^;\n]{0,40}
    (?:process\.env|\bENV|\$_ENV|Deno\.env\.toObject|Bun\.env|getenv\(\)|%ENV|System\.get_env\(\)|ENVIRON)
    (?![.\[\w{]|\.fetch)
    """,
    re.VERBOSE,
)
"""The environment, given to something that shows it."""
PIPES = re.compile(r"pipe\(|dup2|exec|popen")
"""What joins a connection to a program."""
LOADS_FROM_FAR = re.compile(
    r"""
    \b(?:include|require|source|import|load|fetch|loadstring|Function|eval|do|getURL|read\.\w+)\w*
    \s*\(?\s*['\"`]((?:https?|data|ftp):[^'\"`]*)
    """,
    re.VERBOSE,
)
"""Code that is loaded from an address."""
HANDED_ON = re.compile(
    r"""
    \.(?:unlink|rm|rmdir|exec|spawn|execFile|fork)(?:Sync)?\s*[\]),;}]
    |\b(?:unlink|rm|rmdir|exec|spawn|execFile)Sync\s*:\s*\w+
    """,
    re.VERBOSE,
)
"""JavaScript's functions that delete or run, handed on or renamed, and not called."""
KILLS_ANOTHER = re.compile(r"\bprocess\.kill\s*\(\s*-?\d|\bprocess\.binding\s*\(")
INDIRECT = re.compile(r"\b(?:exec|system)\s*\{")
"""Perl's ``exec {PROGRAM} LIST``."""
KILLS_PARENT = re.compile(r"\bkill\w*\b[^;\n]{0,300}(?:getppid|ppid)|getppid[^;\n]{0,300}kill")
FORKS_FOREVER = re.compile(r"\bfork\b\s*(?:while|until|for)|(?:while|until|loop|for)\b[^;\n]{0,30}\bfork\b")
SHELL_OPERATOR = re.compile(r"['\"]([^'\"]*)['\"]\s*\.(?:execute\(|!|#!|!!)")
"""A literal that is run: ``"git push".execute()``, ``"git push".!``."""
WORKER = re.compile(r"\bWorker\b[^'\"`]*(['\"`])((?:\\.|(?!\1)[^\\])*)\1\s*,\s*\{\s*eval")
"""A thread with a program in a literal."""
NAMES_PLACE = re.compile(
    r"""
    (?<![\w.$>:-])([\w.$>:-]*)(?:\s*\(\s*|\s+)
    ['\"`]((?:/(?:etc|home|root|var|proc|sys|opt|srv|mnt|boot|Users)/|~/)[^'\"`\s]*)['\"`]
    """,
    re.VERBOSE,
)
"""A call, and the path outside that it is given."""
DELETES_PATH = re.compile(
    r"""
    [\"']([\w./~-]+)[\"']\s*\)\s*\.\s*(?:delete|rmtree|unlink|remove|rm_rf|rmdir|deleteSync)\s*(?:\(|;|$|\s)
    """,
    re.VERBOSE,
)
"""``Path("…").delete()``."""
WRITES_CONTENT = re.compile(
    r"""
    (?:writeFileSync|outputFileSync|File\.write|file_put_contents)\(\s*
    ([\"'][^\"']+[\"'])\s*,\s*(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')
    """,
    re.VERBOSE,
)
"""A file that is written whole: its path and what is in it."""
TALKS = words("""
    log print puts p echo info warn error debug say get post match test includes startsWith replace inspect printf
    println return pp dbg write
""")
"""Calls of which a path among the arguments is only a word."""
