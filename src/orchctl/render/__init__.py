"""
What people see: figures, tables, live views, transcripts.  Values in, rich renderables out; nothing here asks the daemon.
"""
