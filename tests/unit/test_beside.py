"""
One thing done while others go on beside it.
"""

import anyio
import anyio.lowlevel
import pytest

from orchestrd.beside import beside

pytestmark = pytest.mark.anyio


async def test_what_goes_on_beside_ends_with_the_block():
    ended = anyio.Event()

    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async with beside() as group:
        group.start_soon(wait)
        await anyio.lowlevel.checkpoint()
    assert ended.is_set()


async def test_a_failure_comes_out_as_it_is():
    with pytest.raises(ValueError, match="mine"):
        async with beside() as group:
            group.start_soon(anyio.sleep_forever)
            raise ValueError("mine")


async def test_one_that_goes_on_beside_may_call_the_block_off():
    done = []
    async with beside() as group:
        group.cancel_scope.cancel()
        await anyio.sleep_forever()
        done.append("never")
    assert done == []


async def test_a_cancelled_caller_is_cancelled():
    with anyio.CancelScope() as scope:
        async with beside():
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
