"""
I2: what is recorded of an agent's output is what the output says, up to the cursor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec.structs import replace

from orchestrd.audit.finding import Notes
from orchestrd.audit.hearing import SALVAGED, Hearing, as_read, followed_to_end, listen, of_stream
from orchestrd.audit.money import Account, check_money
from orchestrd.audit.picture import Picture
from orchestrd.audit.taken import as_recorded
from orchestrd.domain import events as ev
from orchestrd.domain.rows import RunRow
from orchestrd.domain.writable import writable

_DISAGREE = "Journal and output disagree: keep a copy of the home, and report it."
_CUT = "Part of its output was cut off, as is recorded; what came after it was read with that in mind."


def check_streams(picture: Picture) -> tuple[Notes, Notes]:
    """
    I2 and I3, of every run: each output is read once for both.
    """
    streams, money = Notes("I2"), Notes("I3")
    known = {run.key for run in picture.runs}
    for name in sorted(picture.ledger.cursors.keys() - known):
        streams.problem(name, "there is a cursor of a run that is not known")
    there = {str(spec.parent.relative_to(picture.home.logs)) for spec in picture.home.logs.glob("*/*/*/spec.json")}
    unknown = there - known
    if unknown and picture.served_by is not None:
        unknown -= picture.begun_since()
    for name in sorted(unknown):
        hint = "Nobody follows it.  Its files stay; what they say is accounted for nowhere."
        streams.warning(name, "there are files of a run that the journal does not know", hint=hint)
    for run in picture.runs:
        recorded = [as_read(r.event) for r in picture.facts.get(run.key, []) if of_stream(r.event)]
        hearing = _hear(picture, run, recorded, streams)
        if hearing is not None:
            streams.count("runs")
            streams.count("facts", len(recorded))
            _check_stream(picture, run, hearing, recorded, streams)
            check_money(picture, run, hearing, recorded, money)
    return streams, money


def _hear(picture: Picture, run: RunRow, recorded: list[ev.AnyEvent], notes: Notes) -> Hearing | None:
    """
    The run's output, or None when there is none to compare with.
    """
    rundir = picture.rundir(run.key)
    cursor = picture.ledger.cursors.get(run.key, 0)
    try:
        hearing = listen(picture, run, cursor, marks=[fact.offset for _, fact in _cuts(recorded)])
    except OSError as error:
        if not rundir.path.exists() and not run.open:
            if cursor or recorded:
                notes.warning(run.key, f"its files are gone: {len(recorded)} facts have nothing to be held against")
        elif run.cut and not cursor:
            notes.warning(
                run.key, f"its output is gone: {len(recorded)} facts have nothing to be held against", hint=_CUT
            )
        elif cursor or recorded:
            notes.problem(run.key, f"its output cannot be read ({error.strerror}), {len(recorded)} facts are from it")
        else:
            return Hearing()  # it never said anything
        return None
    if cursor > hearing.size:
        detail = f"the cursor is at {cursor}, the output has {hearing.size} bytes: its end was cut off"
        if run.open:
            notes.warning(run.key, detail, hint="The next daemon records that, and goes on from there.")
        else:
            notes.problem(
                run.key, detail, hint="What is recorded stands; it cannot be held against the output any more."
            )
        return None
    hearing.facts = as_recorded(recorded, _with_lost(recorded, hearing))
    rest = recorded[len(hearing.facts) :]
    hearing.later, hearing.tail = as_recorded(rest, hearing.later), as_recorded(rest, hearing.tail)
    return hearing


# -- facts -----------------------------------------------------------------------------------------------------------


def _cuts(recorded: list[ev.AnyEvent]) -> list[tuple[int, ev.StreamDamaged]]:
    """
    The facts, by their place in *recorded*, that tell of an end of the output that was cut off.
    """
    found = ((at, fact) for at, fact in enumerate(recorded) if isinstance(fact, ev.StreamDamaged))
    return [(at, fact) for at, fact in found if fact.cut]


def _with_lost(recorded: list[ev.AnyEvent], hearing: Hearing) -> list[ev.AnyEvent]:
    """
    What the output says, with what is recorded of ends that were cut off: the record is all that is left of them.
    """
    facts: list[ev.AnyEvent] = []
    cuts = _cuts(recorded)
    taken = 0
    for number, (at, cut) in enumerate(cuts):
        # A later cut may have taken more than an earlier one left.
        kept = max(taken, min(hearing.reached[later.offset] for _, later in cuts[number:]))
        facts += hearing.facts[taken:kept]
        facts += [*recorded[len(facts) : at], cut]
        taken = kept
    return facts + hearing.facts[taken:]


def _check_stream(picture: Picture, run: RunRow, hearing: Hearing, recorded: list[ev.AnyEvent], notes: Notes) -> None:
    if hearing.inside:
        notes.problem(run.key, "the cursor lies inside a line", hint=_DISAGREE, mendable=picture.ledger.damaged)
    unread = len(hearing.later) + len(hearing.later_asks)
    expected = hearing.facts if len(recorded) <= len(hearing.facts) else [*hearing.facts, *hearing.tail]
    followed = followed_to_end(run)
    everything = [*hearing.facts, *hearing.later, *hearing.tail]
    if recorded != expected and len(recorded) > len(hearing.facts) and recorded == everything[: len(recorded)]:
        detail = f"the cursor stands before {len(recorded) - len(hearing.facts)} facts that are recorded"
        notes.problem(run.key, detail, hint=_DISAGREE, mendable=picture.ledger.damaged)
        return
    if recorded != expected:
        _tell_difference(picture, run, recorded, expected, notes)
    elif unread and not run.open:
        detail = f"{unread} facts of its output, behind the cursor, were never read"
        hint = "The run has ended: what it said after that is in its output only."
        (notes.problem if followed else notes.warning)(run.key, detail, hint=hint)
    elif followed and hearing.tail and expected is hearing.facts:
        notes.warning(run.key, "its last line has no end, and that is not recorded")
    _check_asks(picture, run, hearing, notes)


def _tell_difference(
    picture: Picture, run: RunRow, recorded: list[ev.AnyEvent], expected: list[ev.AnyEvent], notes: Notes
) -> None:
    foreign = picture.foreign(run.key)
    say = notes.warning if foreign or run.cut else notes.problem
    hint = "Another version of orchestrd recorded it; what it judged otherwise is no damage." if foreign else _DISAGREE
    hint = _CUT if run.cut and not foreign else hint
    ours, theirs = list(_moneyless(recorded)), list(_moneyless(expected))
    if ours == theirs:
        return  # only money differs, which is I3's
    have, want = Counter(map(msgspec.json.encode, ours)), Counter(map(msgspec.json.encode, theirs))
    lost, extra = list((want - have).elements()), list((have - want).elements())
    doubled = [body for body in extra if body in want]
    other = [body for body in extra if body not in want]
    said = [
        f"{len(bodies)} {what} ({_name(bodies[0])}{', …' if len(bodies) > 1 else ''})"
        for bodies, what in (
            (lost, "of the output are not recorded"),
            (doubled, "are recorded more than once"),
            (other, "are recorded that the output does not hold"),
        )
        if bodies
    ]
    detail = f"facts: {'; '.join(said)}" if said else "its facts are recorded in another order"
    if lost and not extra and len(lost) <= picture.losses and _in_order(ours, theirs):
        say, hint = notes.warning, SALVAGED
    say(run.key, detail, hint=hint)


def _in_order(some: Sequence[ev.AnyEvent], of: Sequence[ev.AnyEvent]) -> bool:
    """
    True when *some* are left of *of* once others are taken away.
    """
    rest = iter(of)
    return all(fact in rest for fact in some)


def _name(body: bytes) -> str:
    """
    The fact in a few words: its name, and what of its fields is no text.
    """
    fact = msgspec.json.decode(body)
    about = fact.get("call") or fact.get("message") or fact.get("offset")
    return f"{fact['type']} {about}" if about is not None else str(fact["type"])


def _moneyless(facts: Iterable[ev.AnyEvent]) -> Iterator[ev.AnyEvent]:
    """
    The *facts* without their money, and without those that tell of nothing else: by other prices there may be more of them.
    """
    account = Account()
    for fact in facts:
        before = account.used()
        account.take(fact)
        if isinstance(fact, ev.SpendSeen):
            yield replace(fact, cost=0, to_come=None)
        elif isinstance(fact, ev.SpendSettled):
            yield replace(fact, spends=tuple(replace(s, cost=0) for s in fact.spends), estimated=0)
        elif not isinstance(fact, ev.SpendTold):
            yield fact
        elif account.used() != before:
            yield replace(fact, spends=tuple(replace(s, cost=0) for s in fact.spends), to_come=None)


def _check_asks(picture: Picture, run: RunRow, hearing: Hearing, notes: Notes) -> None:
    """
    Every question of the output is recorded once, and none that is not in it.
    """
    asked = [
        r.event
        for r in picture.facts.get(run.key, [])
        if isinstance(r.event, ev.QuestionAsked) and r.event.request is not None
    ]
    expected = [
        writable(
            ev.QuestionAsked(
                question="",
                run=run.key,
                text=question.text,
                header=question.header,
                multi=question.multi,
                options=tuple(ev.QuestionOption(label=label, description=text) for label, text in question.options),
                request=ask.request,
                permit=ask.permit,
            )
        )
        for ask in hearing.asks
        for question in ask.questions
    ]
    notes.count("questions", len(asked))
    if _cuts([r.event for r in picture.facts.get(run.key, [])]):
        return  # some may have been in what was cut off
    recorded = [replace(fact, question="") for fact in asked]
    if recorded == as_recorded(recorded, expected):
        return
    if 0 < len(expected) - len(asked) <= picture.losses and _in_order(
        [replace(f, question="") for f in asked], expected
    ):
        notes.warning(run.key, f"{len(expected) - len(asked)} of its questions are not recorded", hint=SALVAGED)
        return
    if [fact.request for fact in asked] == [getattr(fact, "request", None) for fact in expected]:
        detail = "its questions are recorded in other words than it asked them"
    else:
        detail = f"its output asks {len(expected)} questions, recorded are {len(asked)}, or others"
    notes.problem(run.key, detail)
