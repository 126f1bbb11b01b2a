"""The channel layer at the bridge: groups, consumer and reply channels, channels of processes, named channels.

Three entrances: :meth:`Layer.frame` for what processes ask for, :meth:`Layer.effect` for what a commit did,
:meth:`Layer.by_engine` for other machines. What is not ours goes on to who has it: a process with a link here, another
bridge of this machine (by way of a worker: relays.py), another machine (bus.py). Where somebody wants to know what
became of it, ``route`` is not empty, and exactly one ANSWER goes back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...shared import frames
from ...shared.config import Config
from ...shared.frames import Frame, LayerFrame
from ...shared.names import parse_owned, parse_process
from .actions import Action, Send
from .background import Background
from .bus import Bus, bridge_topic, group_topic, process_topic
from .connection import Connection
from .delivery import Delivery, single
from .groups import Groups
from .pool import Worker
from .relays import Relays
from .supervision import Supervisor

Addressed = frames.GroupAdd | frames.GroupDiscard | frames.ChannelSend
LOOK = 0.25  # seconds between two looks at the layer's timers
GAP_GROUP = "bridge.gap"  # its members are told when messages of other machines may have been lost


class Layer:
    """The channel layer of one bridge process."""

    def __init__(
        self,
        boot: int,
        config: Config,
        emit: Callable[[Action], None],
        connections: dict[int, Connection],
        supervisor: Supervisor,
        delivery: Delivery,
        *,
        has_engine: bool,
    ) -> None:
        self.boot = boot
        self._emit = emit
        self._connections = connections
        self._supervisor = supervisor
        self._delivery = delivery
        self._statistics = statistics = delivery.statistics
        self._now = 0.0  # of the entrance that is at work
        self._looked_at = 0.0
        self.groups = Groups(self._group_changed)
        self.background = Background(config, emit, statistics)
        self.relays = Relays(boot, emit, statistics)
        self.bus = Bus(boot, emit, statistics, is_open=has_engine)
        self._entrances: dict[type[Frame], Callable[..., None]] = {
            frames.GroupSend: self._group_send,
            frames.GroupAdd: self._from_process,
            frames.GroupDiscard: self._from_process,
            frames.ChannelSend: self._from_process,
            frames.Answer: self._answered,
            frames.Peers: self._peers,
            frames.Subscribe: self._subscribe,
            frames.Unsubscribe: self._unsubscribe,
            frames.Listen: self._listen,
            frames.Relay: self._relay_received,
            frames.Relayed: self._relayed,
        }

    # -- entrances ---------------------------------------------------------------------------------------------

    def frame(self, process: Worker, frame: Frame, now: float) -> bool:
        """Act on a frame of a process. False: it is none of the layer's, or none that a process sends."""
        self._now = now
        act = self._entrances.get(type(frame))
        if act is None:
            return False
        act(process, frame)
        return True

    def effect(self, worker: Worker, effect: LayerFrame, now: float) -> bool:
        """Do what a turn of this worker asked for; its commit was applied. True: it is for other bridges, too."""
        self._now = now
        if isinstance(effect, frames.GroupSend):
            others = _others(worker.peers, self.boot)
            self._broadcast(effect)
            self._publish_group(effect, [self.boot, *others])
            return bool(others)
        owned = parse_owned(effect.channel)
        if owned is not None and owned.bridge != self.boot and owned.bridge in worker.peers:
            return True
        self._addressed(effect, local_only=False)
        return False

    def relay(self, worker: Worker, effects: list[LayerFrame], now: float) -> None:
        """Have the worker pass these on to the other bridges that it knows."""
        self.relays.send(worker, _others(worker.peers, self.boot), effects, now)

    def by_engine(self, topic: str, frame: Frame, now: float) -> None:
        """Take what another machine published."""
        self._now = now
        if isinstance(frame, frames.Relay):
            if self.bus.is_news(topic, frame):
                self._apply([effect for effect in frame.effects if self._is_ours(effect)])
        elif isinstance(frame, frames.Answer):
            if self.bus.answered(frame.route):
                self._answer(frame.route, frame.code)
        elif isinstance(frame, frames.Listening) and frame.bridge != self.boot:
            self.bus.heard(frame, now)
            for channel in frame.channels:
                self._hand_over(channel, frame.bridge)
        else:
            self._statistics.malformed += 1

    def _is_ours(self, effect: LayerFrame) -> bool:
        """Say whether what is for a process is for this bridge to pass on: its home had its topic before, perhaps."""
        process = None if isinstance(effect, frames.GroupSend) else parse_process(effect.channel)
        link = None if process is None else self._supervisor.processes.get(process)
        return process is None or (link is not None and self._is_home(link))

    # -- processes ---------------------------------------------------------------------------------------------

    def _peers(self, process: Worker, frame: frames.Peers) -> None:
        if self._is_home(process) and frame.bridges[:1] != [self.boot]:
            self.groups.lose(process)
            self.bus.quit(process_topic(process.hello.boot))
        process.peers = frame.bridges
        if self._is_home(process):
            self.bus.join(process_topic(process.hello.boot))
        self.relays.offer(process)

    def _is_home(self, process: Worker) -> bool:
        return process.peers[:1] == [self.boot]

    def lose(self, process: Worker, now: float) -> None:
        """Forget a process whose link has ended."""
        self._now = now
        self.groups.lose(process)
        self.background.lose(process)
        self.relays.lose(process, self._supervisor.links.values())
        for route in process.asked:
            self._statistics.unknown += 1
            self._answer(list(route), "unknown")
        if self._is_home(process):
            self.bus.quit(process_topic(process.hello.boot))

    def _subscribe(self, process: Worker, frame: frames.Subscribe) -> None:
        self.groups.subscribe(frame.group, process)
        self._once_joined(frame.group, [*frame.route, process.link_epoch, self.boot] if frame.route else [])

    def _unsubscribe(self, process: Worker, frame: frames.Unsubscribe) -> None:
        self.groups.unsubscribe(frame.group, process)

    def _listen(self, process: Worker, frame: frames.Listen) -> None:
        self.background.listen(process, frame.channel, frame.total, self._now)

    def _group_send(self, process: Worker, frame: frames.GroupSend) -> None:
        self._broadcast(frame)
        if frame.told[:1] == [self.boot]:
            self._publish_group(frame, frame.told)
        if frame.route:
            self._send(process, frames.Answer(frame.route, ""))

    def _from_process(self, process: Worker, frame: Addressed) -> None:
        if frame.route:
            frame = frame._replace(route=[frame.route[0], process.link_epoch, self.boot])
        self._addressed(frame, local_only=False)

    def _answered(self, process: Worker, frame: frames.Answer) -> None:
        route = tuple(frame.route)
        if route in process.asked:
            del process.asked[route]
            self._answer(frame.route, frame.code)

    def _relay_received(self, process: Worker, frame: frames.Relay) -> None:
        if self.relays.is_new(frame.origin, frame.number):
            self._apply(frame.effects)
        self._send(process, frames.Relayed(frame.origin, frame.number))

    def _relayed(self, process: Worker, frame: frames.Relayed) -> None:
        if frame.origin == self.boot:
            self.relays.arrived(frame.number)

    def _apply(self, effects: Sequence[LayerFrame]) -> None:
        """Do what concerns us of what another bridge hands on."""
        for effect in effects:
            if isinstance(effect, frames.GroupSend):
                self._broadcast(effect)
            elif (owned := parse_owned(effect.channel)) is None or owned.bridge == self.boot:
                self._addressed(effect, local_only=True)

    # -- groups ------------------------------------------------------------------------------------------------

    def _broadcast(self, frame: frames.GroupSend) -> None:
        named = map(parse_owned, frame.exclude)
        exclude = [owned for owned in named if owned is not None and owned.bridge == self.boot]
        self._delivery.deliver(self.groups.members(frame.group, exclude), frame.event)
        processes = self.groups.processes(frame.group)
        if processes:
            passed_on = frame._replace(told=[], route=[])
            for process in processes:
                self._send(process, passed_on)

    def _publish_group(self, frame: frames.GroupSend, told: list[int]) -> None:
        if self.bus.is_open:
            self.bus.publish(group_topic(frame.group), frame._replace(told=[], route=[]), told, self._now)

    def _group_changed(self, group: str) -> None:
        if self.bus.is_open:
            if group in self.groups:
                self.bus.join(group_topic(group))
            else:
                self.bus.leave(group_topic(group), self._now)

    def _once_joined(self, group: str, route: list[int]) -> None:
        """Answer that a membership is there, once other machines' messages reach it, too."""
        if route:
            self.bus.when_joined(group_topic(group), lambda: self._answer(route, ""))

    # -- what is for one channel -------------------------------------------------------------------------------

    def _addressed(self, frame: Addressed, *, local_only: bool) -> None:
        owned = parse_owned(frame.channel)
        if owned is not None:
            conn = self._connections.get(owned.conn) if owned.bridge == self.boot else None
            if conn is not None:
                self._to_connection(frame, owned.role, conn)
            else:
                self._elsewhere(frame, bridge_topic(owned.bridge), local_only or owned.bridge == self.boot)
            return
        process = parse_process(frame.channel)
        if process is None:
            self._to_named(frame, local_only)
        elif (link := self._supervisor.processes.get(process)) is not None:
            if frame.route:
                link.asked[tuple(frame.route)] = None
            self._send(link, frame)
        else:
            self._elsewhere(frame, process_topic(process), local_only)

    def _to_connection(self, frame: Addressed, role: str, conn: Connection) -> None:
        if isinstance(frame, frames.GroupAdd):
            self.groups.add(frame.group, role, conn)
            self._once_joined(frame.group, frame.route)
            return
        if isinstance(frame, frames.GroupDiscard):
            self.groups.discard(frame.group, role, conn)
        elif conn.finished or conn.closing:
            self._unknown(frame)
            return
        elif not self._delivery.deliver(single(role, conn), frame.event):
            self._answer(frame.route, "full")
            return
        self._answer(frame.route, "")

    def _to_named(self, frame: Addressed, local_only: bool) -> None:
        if not isinstance(frame, frames.ChannelSend):
            self._unknown(frame)
            return
        if not local_only and not self.background.has_listener(frame.channel):
            bridge = self.bus.listener(frame.channel, self._now)
            if bridge is not None:
                self._elsewhere(frame, bridge_topic(bridge), False)
                return
        took = self.background.put(frame, self._now)
        self._answer(frame.route, "" if took else "full")

    def _hand_over(self, channel: str, bridge: int) -> None:
        """Send what waits here to another machine, where somebody listens on it, if nobody does here."""
        if self.background.has_listener(channel):
            return
        for waiting in self.background.take_all(channel):
            left = max(0.001, waiting.expires_at - self._now)
            self._elsewhere(frames.ChannelSend(channel, waiting.event, 0, left, []), bridge_topic(bridge), False)

    def _elsewhere(self, frame: Addressed, topic: str, local_only: bool) -> None:
        if local_only or not self.bus.is_open:
            self._unknown(frame)
        else:
            self.bus.publish(topic, frame, [], self._now)

    def _unknown(self, frame: Addressed) -> None:
        self._statistics.unknown += 1
        self._answer(frame.route, "unknown")

    # -- answers -----------------------------------------------------------------------------------------------

    def _answer(self, route: list[int], code: str) -> None:
        """Send an answer to who asked: ``route`` is [call, link epoch, bridge boot]; else no answer is wanted."""
        if len(route) != ROUTE:
            return
        call, link_epoch, boot = route
        if boot != self.boot:
            self.bus.answer(route, code)
            return
        process = self._supervisor.by_epoch.get(link_epoch)
        if process is not None:
            self._send(process, frames.Answer([call], code))

    def _send(self, process: Worker, frame: Frame) -> None:
        self._emit(Send(process.peer, process.link_epoch, frame))

    # -- the engine --------------------------------------------------------------------------------------------

    def gap(self, event: bytes, now: float) -> None:
        """Tell those that asked that messages of other machines may have been lost."""
        self._now = now
        self._statistics.gaps += 1
        self.bus.forget_numbers()
        self._broadcast(frames.GroupSend(GAP_GROUP, event, [], [], []))

    def unpublished(self, frame: Frame) -> None:
        """Deal with what the engine did not take: messages for named channels wait here, for all else it is over."""
        if not isinstance(frame, frames.Relay):
            self._statistics.unpublished += 1
            return
        for effect in frame.effects:
            is_asked = bool(effect.route) and self.bus.answered(effect.route)
            if isinstance(effect, frames.ChannelSend) and "!" not in effect.channel:
                code = "" if self.background.put(effect, self._now) else "full"
            else:
                self._statistics.unpublished += 1
                code = "unknown"
            if is_asked:
                self._answer(effect.route, code)

    # -- time --------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Look at the timers; not each time, as some of it looks at all that waits."""
        if now - self._looked_at < LOOK:
            return
        self._now = self._looked_at = now
        self.background.expire(now)
        self.relays.expire(now)
        self.bus.announce(self.background.listened, now)
        for route in self.bus.tick(now):
            self._statistics.unknown += 1
            self._answer(route, "unknown")


def _others(boots: list[int], own: int) -> list[int]:
    return [boot for boot in boots if boot != own]


ROUTE = 3  # numbers in a route that a bridge has passed on
