"""
Which calls wait for a snapshot, with the clock and the desk in hand.
"""

import anyio
import pytest

from factories import FixedClock
from orchestrd.domain.budget import PriceTable
from orchestrd.policy.effect import Effect
from orchestrd.policy.verdict import ALLOW
from orchestrd.runner.desk import Keeping
from orchestrd.runner.heard import Channel, Reply
from orchestrd.runner.interpreter import Interpreter
from orchestrd.runner.keeper import Keeper

HOLD = 20.0


class Scene:
    """
    A keeper whose snapshots are done when the test says so.
    """

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.interpreter = Interpreter("d/t/1", PriceTable(date="", models={}), lambda *_: ALLOW)
        self.answered: set[str] = set()
        self.wanted: list[tuple[str, anyio.Event]] = []
        self.kept: list[Keeping] = []
        self.keeper = Keeper(self.interpreter, self, self, self.clock, hold=HOLD)

    def keep_tree(self, run: str, call: str) -> Keeping:
        self.kept.append(Keeping())
        self.wanted.append((call, self.kept[-1].done))
        return self.kept[-1]

    def ready(self, *replies: Reply) -> list[str]:
        return [reply.request for reply in self.keeper.ready(list(replies))]

    def returned(self, call: str) -> None:
        """
        The call was heard of, and has returned.
        """
        self.interpreter.calls[call] = "it"
        self.ready()
        del self.interpreter.calls[call]
        self.ready()


def reply(name: str, effect: Effect = Effect.DESTROYS, *, grants: Channel | None = Channel.HOOK) -> Reply:
    return Reply(request=name, line=b"", grants=grants, call=f"call-{name}", effect=effect)


@pytest.fixture
def scene(anyio_backend):
    return Scene()


pytestmark = pytest.mark.anyio


async def test_a_call_waits_until_the_tree_is_kept(scene):
    assert scene.ready(reply("a")) == []
    assert scene.ready() == []
    assert [call for call, _ in scene.wanted] == ["call-a"]
    scene.wanted[0][1].set()
    assert scene.ready() == ["a"]
    assert scene.ready() == []


async def test_others_go_on_meanwhile(scene):
    assert scene.ready(reply("a"), reply("b", Effect.READS), reply("c", Effect.WRITES), reply("d", grants=None)) == [
        "b",
        "c",
        "d",
    ]


async def test_no_longer_than_it_may_be_held(scene):
    scene.ready(reply("a"))
    scene.clock.now += HOLD - 1
    assert scene.ready() == []
    scene.clock.now += 2
    assert scene.ready() == ["a"]


async def test_a_call_is_denied_when_its_tree_cannot_be_kept(scene):
    scene.ready(reply("a"))
    scene.kept[0].trouble = "the folders are too deep"
    scene.wanted[0][1].set()
    (denied,) = scene.keeper.ready([])
    assert denied.grants is None
    assert b'"deny"' in denied.line
    assert b"the folders are too deep" in denied.line
    # And the next one is not made without.
    assert scene.ready(reply("b")) == []
    assert [call for call, _ in scene.wanted] == ["call-a", "call-b"]


async def test_not_again_while_nothing_can_have_changed(scene):
    scene.ready(reply("a"))
    scene.wanted[0][1].set()
    scene.ready()
    # It was granted: from now on anything may have changed.
    assert scene.ready(reply("b")) == []
    scene.wanted[1][1].set()
    scene.ready()
    scene.returned("call-a")
    scene.returned("call-b")
    scene.ready(reply("c"))
    assert len(scene.wanted) == 3
    scene.keeper._held.clear()
    # Nothing was granted since that one began.
    assert scene.ready(reply("d", Effect.READS), reply("e")) == ["d", "e"]
    assert scene.ready(reply("f")) == []


async def test_what_works_in_the_background_may_change_it_at_any_moment(scene):
    scene.keeper._unkept = False
    scene.interpreter.background.tasks = frozenset({"t"})
    assert scene.ready(reply("a")) == []


async def test_what_was_answered_before_a_restart_is_not_held(scene):
    scene.answered.add("a")
    assert scene.ready(reply("a")) == ["a"]
    assert scene.wanted == []
