"""
The rehearsal model: a scripted Messages API on loopback that drives the real Claude Code CLI without an account.

``python -m orchestrd.rehearsal SCENARIOS.yaml`` serves it; `server.RehearsalServer` is the same inside a program.  The
package knows the domain's values and nothing of the daemon: to the CLI it is the API, to a test it is a known truth.
"""
