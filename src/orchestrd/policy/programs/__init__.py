"""
What programs do, one file for each kind: a table of names and how each is judged or followed.
"""
