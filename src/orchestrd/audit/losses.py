"""
What a salvage saved and what it did not, in words.
"""

from __future__ import annotations

from pathlib import Path

from orchestrd.storage.salvage import Salvaged


def losses(path: Path, saved: Salvaged) -> list[tuple[str | Path, str]]:
    """
    Subject and detail of everything that is to be told of what was *saved* of the journal at *path*.
    """
    told: list[tuple[str | Path, str]] = []
    told += [(path, f"the damaged file was kept as {Path(copy).name}") for copy in saved.quarantined]
    where = f" ({', '.join(saved.damaged)} not as written)" if saved.damaged else ""
    told.append((path, f"made anew from {saved.facts} whole facts and {saved.replies} replies{where}"))
    if saved.lost_facts > saved.lost_end:
        number = saved.lost_facts - saved.lost_end
        kept = "what they did to tasks, runs, questions and money is not lost"
        told.append((path, f"lost: {number} facts, the first is number {saved.first_lost}; {kept}"))
    if saved.lost_end:
        first = saved.facts + saved.lost_facts - saved.lost_end + 1
        again = "what was read from an agent's output is read again when its run is taken up"
        gone = "no task of that time is known any more: submit the day again"
        lost = f"{saved.lost_end} facts" if saved.counted else "nobody knows how many facts"
        told.append((path, f"lost: {lost}, from number {first} on; {again if saved.facts else gone}"))
    if saved.lost_replies:
        told.append((path, f"lost: {saved.lost_replies} replies; a request of that time acts once more"))
    unknown = "its start is among what was lost: nobody follows or ends it, its files are still there"
    told += [(run, unknown) for run in saved.unknown_runs]
    held = "no other run begins by itself: its unknown run may have done it; look, then: orchctl retry"
    told += [(task, held) for task in saved.held]
    unread = "a part of its output may be missing from the journal for good"
    told += [(run, unread) for run in saved.unread_runs]
    return told
