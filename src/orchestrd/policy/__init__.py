"""
One tool call in, one verdict out: pure rules about what an agent may do.
"""
