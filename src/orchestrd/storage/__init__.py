"""
Files under ``var/``: the home's layout and lock, the journal, the run directories.
"""
