"""
The parts of reading a task file: YAML with positions, keys, fields, paths, deliverables, ids, dependencies, problems.

`orchestrd.domain.tasks` puts them together.
"""
