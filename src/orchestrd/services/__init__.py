"""
The long-running loops: each has one ``async def run(self, *, task_status)``.
"""
