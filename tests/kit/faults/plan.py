"""Which fault happens when."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from channels_bridge.testing.faults.cables import Lane, Step

if TYPE_CHECKING:
    from channels_bridge.testing.faults.worker import FaultyWorker, World

Fault = Callable[[Step], int]  # does it, and says how often the step's message arrives


class Plan:
    """The faults that are still to come, and what those that came hold up."""

    def __init__(self) -> None:
        self.happened: list[Step] = []  # the steps at which there was a fault
        self._due: list[tuple[int | str, Fault]] = []
        self._held: list[tuple[int, Lane]] = []  # let go with this step

    @property
    def due(self) -> list[int | str]:
        """When faults are still to come."""
        return [when for when, _ in self._due]

    def add(self, when: int | str, fault: Fault) -> None:
        """Plan a fault for a step's number, or for the next message with such a frame."""
        self._due.append((when, fault))

    def before(self, step: Step) -> int:
        """Do what is planned for this step; say how often its message arrives."""
        for number, lane in list(self._held):
            if step.number >= number:
                self.let_go(lane)
        times = 1
        for when, fault in list(self._due) if step.number else ():
            if when == step.number or when in step.frames:
                self._due.remove((when, fault))
                self.happened.append(step)
                times = fault(step)
        return times

    def hold(self, lane: Lane, until: int) -> None:
        """Hold a direction up until this step."""
        lane.held = True
        self._held.append((until, lane))

    def let_go(self, lane: Lane | None = None) -> None:
        """Hold this direction up no more; None: all that only wait for steps."""
        for entry in list(self._held):
            if lane is None or entry[1] is lane:
                self._held.remove(entry)
                entry[1].held = False

    def clear(self) -> None:
        """Let nothing more happen."""
        self._due.clear()
        self.let_go()


class At:
    """A moment: the arrival of one message between the bridge and a worker. Say what is to happen then.

    The worker that is meant is the one whose message it is, in either direction.
    """

    def __init__(self, plan: Plan, when: int | str, world: World) -> None:
        self._plan, self._when, self._world = plan, when, world

    def kill(self, *, said: bool = False) -> None:
        """Kill the worker, see :meth:`.FaultyWorker.kill`. The message is lost, unless it had ``said`` it."""
        self.do(lambda worker: worker.kill(said=said))

    def freeze(self, seconds: float | None = None) -> None:
        """Freeze the worker, see :meth:`.FaultyWorker.freeze`. The message arrives after the thaw."""
        self.do(lambda worker: worker.freeze(seconds))

    def drop(self) -> None:
        """Lose the message, by cutting the connection there, as ZeroMQ loses none but at the end of a connection."""
        self.do(lambda worker: worker.cut())

    def delay(self, seconds: float | None = None, *, steps: int = 3) -> None:
        """Hold the message up, and those behind it in its direction, for so many seconds of the site's time.

        Without: until so many other messages have arrived, or nothing else can happen.
        """

        def hold(step: Step) -> int:
            lane, clock = step.lane, self._world.clock
            if seconds is None:
                self._plan.hold(lane, step.number + steps)
            else:
                lane.held = True
                clock.at(clock.now + seconds, lambda: self._release(lane))
            return 1

        self._plan.add(self._when, hold)

    def duplicate(self) -> None:
        """Let the message arrive twice. ZeroMQ never does that: it proves that what has been done is fenced."""
        self._plan.add(self._when, lambda step: 2)

    def do(self, fault: Callable[[FaultyWorker], object]) -> None:
        """Do something of your own with the worker. No coroutine: it is between two turns of the event loop."""

        def happen(step: Step) -> int:
            fault(step.cable.worker)
            return 1

        self._plan.add(self._when, happen)

    def _release(self, lane: Lane) -> None:
        lane.held = False
        self._world.cables.look()
