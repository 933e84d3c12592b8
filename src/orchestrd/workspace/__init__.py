"""
Git and the operating system: where agents work, what they changed, and how it comes over to the person.

The person's repository, the *project*, is read and never written: no object, ref, index, config or hook of it is
touched.  The daemon keeps a bare repository of its own under the home, which holds the project's history and commits
that are *snapshots* of file trees.  Agents work in worktrees of that repository; a sandbox shows a *view* of it.
``apply`` is the one thing that writes into the project, and it writes files only.

Paths inside trees are ``str`` as ``os.fsdecode`` makes them: a name that is no UTF-8 carries surrogate escapes, so show
it with ``git.shown`` before it goes into JSON or onto a terminal.
"""
