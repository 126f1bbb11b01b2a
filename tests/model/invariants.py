"""What holds in a bridge's core at every moment, whatever has happened. Each raises ``AssertionError``."""

from __future__ import annotations

from channels_bridge.bridge.core.connection import GROUP_SHARE, Connection
from channels_bridge.bridge.core.core import Core
from channels_bridge.bridge.core.dispatcher import FIRST_WINDOW
from channels_bridge.bridge.core.pool import Worker
from model.site import CONFIG

LONGEST = 40  # bytes of one message here, and more


def every_connection_has_one_owner(core: Core) -> None:
    """It is a link that lives, and no process has two of them."""
    links = core.supervisor.links
    owned = 0
    for link in links.values():
        owned += len(link.conns)
        assert all(core.connections[conn].owner is link for conn in link.conns)
    assert owned == sum(conn.owner is not None for conn in core.connections.values())
    assert len({link.hello.boot for link in links.values()}) == len(links)
    assert len(links) <= CONFIG.max_links


def slots_are_kept_and_counted(core: Core) -> None:
    for link in core.supervisor.links.values():
        turns = sum(conn.turns_held for conn in link.conns.values()) if link.has_turns else 0
        assert link.turns_out == turns <= link.hello.slots
        assert not link.hello.connections or len(link.conns) <= link.hello.connections


def nobody_waits_unheard(core: Core) -> None:
    """Who has no owner waits for one or is at its end; whose message may go asks for a slot, which is not free."""
    pools = core.dispatcher.pools
    waiting = [conn.id for pool in pools.values() for conn in pool.waiting]
    homeless = [conn.id for conn in core.connections.values() if conn.owner is None and not conn.finished]
    assert sorted([*waiting, *(conn.id for conn in core.dispatcher.holding.held)]) == sorted(homeless)
    for name, pool in pools.items():
        serving = {peer for peer, link in core.supervisor.links.items() if name in link.hello.pools}
        assert {link.peer for link in pool.workers} == serving
        takers = (pool.least_loaded(conn.kind, conn.refused_by, isolated=conn.is_isolated) for conn in pool.waiting)
        assert not any(takers), "a worker would take it"
    for link in core.supervisor.links.values():
        _nobody_waits_there_unheard(link)


def _nobody_waits_there_unheard(link: Worker) -> None:
    assert {conn.id for conn in link.waiting} == {conn.id for conn in link.conns.values() if conn.queued}
    assert not (link.waiting and link.takes_turns), "a slot is free"
    for conn in link.conns.values() if link.has_turns else ():
        idle = not conn.turns_held and conn.sent < conn.seq and conn.buffered < CONFIG.window_bytes
        assert conn.queued or not idle or conn.finished, "its message may go"


def every_queue_is_within_its_bound(core: Core) -> None:
    for conn in core.connections.values():
        _journal_is_whole(conn)
        assert 0 <= conn.buffered <= FIRST_WINDOW + 2 * CONFIG.window_bytes
    assert core.dispatcher.journal_bytes == sum(conn.journal_bytes for conn in core.connections.values())
    assert core.dispatcher.buffered == sum(conn.buffered for conn in core.connections.values())


def _journal_is_whole(conn: Connection) -> None:
    """What is not acknowledged is there, and no more than the bound has been given out."""
    assert 0 <= conn.acked <= conn.sent <= conn.seq
    assert conn.turns_held <= CONFIG.turn_window or not conn.turns
    assert len(conn.journal) == conn.seq - conn.acked <= CONFIG.journal_messages + GROUP_SHARE + 1
    assert conn.journal_bytes == sum(map(len, conn.journal)) <= 2 * CONFIG.journal_bytes + LONGEST


def groups_have_no_ghosts(core: Core) -> None:
    """Their members are connections that live, and both sides know the same."""
    listed = {
        (group, role, conn)
        for group, members in core.layer.groups._members.items()
        for (role, conn), member in members.items()
        if core.connections.get(conn) is member
    }
    assert listed == {(*key, conn.id) for conn in core.connections.values() for key in conn.groups}
    assert len(listed) == sum(map(len, core.layer.groups._members.values())), "a member is gone"
    assert all(core.layer.groups._members.values())


def check(core: Core) -> None:
    """Check them all."""
    every_connection_has_one_owner(core)
    slots_are_kept_and_counted(core)
    nobody_waits_unheard(core)
    every_queue_is_within_its_bound(core)
    groups_have_no_ghosts(core)
