"""
Programs given as text that reach what they do by a detour: a function that is handed on, looked up by its name, or brought in unseen.
"""

from __future__ import annotations

import pytest

from policyworld import rule, verdict

FORBIDDEN = {
    "delete": [
        "python -c \"from os import *; remove('README.md')\"",
        "python -c \"import os; list(map(os.remove, ['README.md']))\"",
        "python -c \"import os, functools; functools.partial(os.remove, 'README.md')()\"",
        "python -c \"import os; os.__dict__['remove']('README.md')\"",
        "perl -e 'use POSIX; POSIX::remove(\"README.md\")'",
    ],
    "exec-unknown": [
        "python -c \"from pathlib import *; list(map(Path.unlink, Path('.').glob('*.py')))\"",
        "python -c \"import os; [f('README.md') for f in [os.remove]]\"",
        'python -c "import os; os.kill(1, 9)"',
        'perl -e \'exec {"git"} "git","push"\'',
        'node -e "process.kill(1)"',
        "node -e \"[require('fs').unlinkSync].forEach(f => f('README.md'))\"",
        "node -e \"const {unlinkSync: u} = require('fs'); u('README.md')\"",
        "node -e \"process.binding('spawn_sync')\"",
        "python -c \"import shutil; (lambda f: f('src'))(shutil.rmtree)\"",
    ],
    "git": [
        "python -c \"import os; vars(os)['system']('git push')\"",
        "python -c \"import os; getattr(os, 'sys'+'tem')('git push')\"",
        "python -c \"import psutil; psutil.Popen(['git','push'])\"",
        "python -c \"from plumbum import local; local['git']('push')\"",
        "python -c \"import pydoc; pydoc.pipepager('x', 'git push')\"",
        "python -c \"import webbrowser; webbrowser.GenericBrowser('git push').open('x')\"",
        "python -m code <<< \"import os; os.system('git push')\"",
        "python -m timeit \"import os; os.system('git push')\"",
        "python -c \"import subprocess as s; r=s.run; r(['git','push'])\"",
        "python -c \"import os; x=os.system; x('git push')\"",
        "python -c \"__import__('os').system('git push')\"",
        "python -c \"import importlib; importlib.import_module('os').system('git push')\"",
        "python -c \"from subprocess import run as r; r('git push', shell=True)\"",
        "python -c \"import builtins; builtins.__import__('os').system('git push')\"",
        "python -c \"import ctypes; ctypes.CDLL(None).system(b'git push')\"",
        "python -c \"import pty; pty.spawn(['git','push'])\"",
        "python -c \"import asyncio; asyncio.run(asyncio.create_subprocess_shell('git push'))\"",
        "python -c \"import posix; posix.system('git push')\"",
        "python -c \"import multiprocessing as m, os; m.Process(target=os.system, args=('git push',)).start()\"",
        "python -c \"import threading, os; threading.Thread(target=os.system, args=('git push',)).start()\"",
        "python -c \"import atexit, os; atexit.register(os.system, 'git push')\"",
        "python -c \"import signal,os; signal.signal(2, lambda *a: os.system('git push'))\"",
    ],
    "outside": [
        "python -c \"import tarfile; tarfile.open('a.tar').extractall('/')\"",
        "python -c \"import urllib.request as u; print(u.urlopen('file:///etc/passwd').read())\"",
    ],
    "secret": [
        "python -c \"import keyring; print(keyring.get_password('a','b'))\"",
        'python -c "import os; print({**os.environ})"',
        'python -c "import os; print(dict(os.environ))"',
        'python -c "import os; print(os.environ.copy())"',
    ],
    "db": [
        "python -c \"import sqlite3; c=sqlite3.connect('app.db'); c.execute('drop table x')\"",
        "python -c \"import pandas; df.to_sql('users', e, if_exists='replace')\"",
    ],
}
HONEST = [
    "python -c \"import os; print(os.environ.get('HOME'))\"",
    "python -c \"import os; print(os.path.exists('x'))\"",
    'python -c "from os import *; print(getcwd())"',
    "python -c \"from pathlib import *; print(list(Path('.').glob('*.py')))\"",
    "python -c \"import functools; print(functools.partial(int, base=2)('10'))\"",
    'python -c "list(map(print, [1,2]))"',
    "python -c \"import subprocess; print(subprocess.run(['ls'], capture_output=True).stdout)\"",
    "python -c \"import json,sys; print(json.load(open('package.json'))['version'])\"",
    "python -c \"import yaml; print(yaml.safe_load(open('x.yml')))\"",
    "python -c \"import tarfile; tarfile.open('a.tar').extractall('out')\"",
    "node -e \"console.log(require('./package.json').version)\"",
    "node -e \"console.log(require('fs').readFileSync('a.txt','utf8'))\"",
    'python -c "import os; print(os.getpid(), os.kill)"',
    'python -c "import threading; threading.Thread(target=print, args=(1,)).start()"',
    "python -c \"import os; os.makedirs('build', exist_ok=True)\"",
    'python -c "import sys; sys.exit(0)"',
    'node -e "const {execSync} = require(\\"child_process\\"); console.log(execSync(\\"ls\\").toString())"',
    "node -e \"const fs=require('fs'); fs.readdirSync('.').forEach(f=>console.log(f))\"",
    'node -e "process.exit(0)"',
    "perl -ne 'print if /x/' a.txt",
    "perl -pi -e 's/a/b/' a.txt",
]


@pytest.mark.parametrize(("command", "expected"), [(line, name) for name, lines in FORBIDDEN.items() for line in lines])
def test_detours_in_code(command, expected):
    assert rule(command) == expected


@pytest.mark.parametrize("command", HONEST)
def test_what_looks_like_one(command):
    assert verdict(command).allowed, verdict(command)
