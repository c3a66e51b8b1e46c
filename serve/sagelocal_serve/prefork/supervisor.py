"""The process that is started: it owns the port, deals out connections, and replaces the dead.

    listener ──accept──> supervisor ──descriptor──> the worker with the fewest connections
                             │
                             └── keeps a copy of the descriptor until the connection ends

Because of that copy nobody is cut off when a worker dies in the middle of a request (out of memory,
a fault in a library): who had a request there gets a 500 with the reason, and a connection that
was between two requests goes on in another worker. The supervisor never reads a request; what a
connection costs here is once, not once per request.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from sagelocal_serve.prefork.board import Board, Exchange
from sagelocal_serve.prefork.condolences import Condolences, Dealt
from sagelocal_serve.prefork.descriptors import room_for_connections

log = logging.getLogger("sagelocal_serve")

ACCEPT_AT_ONCE = 64
TICK_SECONDS = 1.0
EVENTS = 256
# After so many workers in a row that lived for less than this, the next waits for as long.
EARLY_SECONDS = 1.0
EARLY_DEATHS = 5
PAUSE_SECONDS = 0.1

#: What a worker process does: its number, its end of the channel, the shared board.
RunWorker = Callable[[int, socket.socket, Board], None]


@dataclass(slots=True)
class Child:
    """A worker process as its supervisor sees it."""

    number: int
    pid: int
    channel: socket.socket
    born: float
    killed_for: str = ""
    last_dealt: float = 0.0
    connections: dict[int, Dealt] = field(default_factory=dict)

    def burden(self) -> tuple[int, float]:
        """By this workers are compared for the next connection; the least gets it."""
        return len(self.connections), self.last_dealt


class Supervisor:
    """Keeps `count` workers alive until it is told to end."""

    def __init__(
        self, listener: socket.socket, run_worker: RunWorker, count: int, silence_seconds: float
    ) -> None:
        self._listener = listener
        self._run_worker = run_worker
        self._count = count
        self._silence_seconds = silence_seconds
        self._room = room_for_connections()
        self._board = Board(self._room, count)
        # The one free for longest comes next: a worker may still be at the end of its last use.
        self._free_numbers = deque(range(self._room))
        self._children: dict[int, Child] = {}
        self._owners: dict[int, Child | None] = {}
        self._waiting: list[Dealt] = []
        self._due: dict[int, float] = dict.fromkeys(range(count), 0.0)
        self._early_deaths = 0
        self._accepting = False
        self._ending = False
        self._epoll = select.epoll()
        self._condolences = Condolences(self._epoll, self._drop)
        self._wake, self._bell = socket.socketpair()

    def run(self, grace_seconds: float) -> None:
        """Serve until SIGTERM or SIGINT, and then until the requests under way are answered."""
        self._listener.setblocking(False)
        self._wake.setblocking(False)
        self._bell.setblocking(False)
        self._epoll.register(self._wake, select.EPOLLIN)
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        signal.signal(signal.SIGCHLD, _just_wake)
        self._replace_the_dead()
        log.info("Workers: %d", self._count)
        while not self._ending:
            self._turn()
        self._close_port()
        self._drain(grace_seconds)

    def _end(self, number: int, frame: object) -> None:
        if not self._ending:
            log.info("Received %s", signal.Signals(number).name)
        self._ending = True

    def _turn(self) -> None:
        """Wait for something to happen and deal with it."""
        for descriptor, _ in self._epoll.poll(self._patience(), EVENTS):
            if descriptor == self._listener.fileno():
                self._accept()
            elif descriptor == self._wake.fileno():
                with contextlib.suppress(BlockingIOError):
                    self._wake.recv(4096)
            elif descriptor in self._condolences:
                self._condolences.hear_out(descriptor)
            else:
                self._forget(descriptor)
        self._bury_the_dead()
        self._kill_the_silent()
        self._condolences.sweep()
        if not self._ending:
            self._replace_the_dead()
            self._deal_again()

    def _patience(self) -> float:
        return 0.05 if self._waiting or self._condolences or self._due else TICK_SECONDS

    # --- connections ------------------------------------------------------------------------

    def _accept(self) -> None:
        for _ in range(ACCEPT_AT_ONCE):
            if not self._free_numbers:
                break
            try:
                accepted, address = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:  # the system has no descriptor or memory to spare
                log.error("No connection can be accepted: %s", error)
                time.sleep(PAUSE_SECONDS)
                return
            accepted.setblocking(False)
            number = self._free_numbers.popleft()
            self._board.exchanges[number] = Exchange.NONE
            host, port = (address[0], address[1]) if isinstance(address, tuple) else ("", 0)
            message = f"{number} {int(accepted.family)} {host} {port}".encode()
            self._owners[accepted.fileno()] = None
            # Hanging up is reported without being asked for, and is all that is of interest.
            self._epoll.register(accepted, 0)
            self._deal(Dealt(accepted, number, message))
        self._listen()

    def _deal(self, connection: Dealt) -> None:
        """Give a connection to the worker that has the fewest, or keep it until there is one.

        Of several the one that got none for the longest time: connections for one request each
        would all go to the same worker otherwise.
        """
        for child in sorted(self._children.values(), key=Child.burden):
            try:
                socket.send_fds(child.channel, [connection.message], [connection.socket.fileno()])
            except OSError:
                continue
            child.connections[connection.socket.fileno()] = connection
            child.last_dealt = time.monotonic()
            self._owners[connection.socket.fileno()] = child
            return
        self._waiting.append(connection)
        self._owners[connection.socket.fileno()] = None

    def _deal_again(self) -> None:
        waiting, self._waiting = self._waiting, []
        for connection in waiting:
            self._deal(connection)
        self._listen()

    def _listen(self) -> None:
        """Accept only what there are descriptors and workers for; the rest waits in the kernel."""
        wanted = bool(self._free_numbers) and bool(self._children) and not self._waiting
        if wanted != self._accepting:
            self._accepting = wanted
            if wanted:
                self._epoll.register(self._listener, select.EPOLLIN)
            else:
                self._epoll.unregister(self._listener)

    def _forget(self, descriptor: int) -> None:
        """The connection has ended on both sides."""
        child = self._owners.get(descriptor)
        if child is not None:
            self._drop(child.connections.pop(descriptor))
        else:
            for connection in [c for c in self._waiting if c.socket.fileno() == descriptor]:
                self._waiting.remove(connection)
                self._drop(connection)

    def _drop(self, connection: Dealt) -> None:
        descriptor = connection.socket.fileno()
        self._owners.pop(descriptor, None)
        with contextlib.suppress(OSError):
            self._epoll.unregister(descriptor)
            connection.socket.shutdown(socket.SHUT_RDWR)
        connection.socket.close()
        self._free_numbers.append(connection.number)

    # --- workers ----------------------------------------------------------------------------

    def _replace_the_dead(self) -> None:
        now = time.monotonic()
        for number, due in list(self._due.items()):
            if now >= due:
                del self._due[number]
                self._start(number)
        self._listen()

    def _start(self, number: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._board.sign_of_life(number)
        try:
            pid = os.fork()
        except OSError as error:
            log.error("No worker can be started: %s", error)
            ours.close()
            theirs.close()
            self._due[number] = time.monotonic() + EARLY_SECONDS
            return
        if pid == 0:
            ours.close()
            self._become_worker(number, theirs)
        theirs.close()
        ours.setblocking(False)
        self._children[pid] = Child(number, pid, ours, time.monotonic())

    def _become_worker(self, number: int, channel: socket.socket) -> NoReturn:
        """Leave all that is the supervisor's behind and work; never returns."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # The supervisor says when to end. Handlers, unlike SIG_IGN, are not inherited by
            # programs that a model starts.
            for name in (signal.SIGTERM, signal.SIGINT):
                signal.signal(name, _just_wake)
            self._let_go()
            self._run_worker(number, channel, self._board)
            status = 0
        except BaseException:
            log.exception("A worker cannot go on")
        finally:
            logging.shutdown()
            os._exit(status)

    def _let_go(self) -> None:
        """Close the copies of descriptors that belong to the supervisor."""
        self._listener.close()
        self._epoll.close()
        self._wake.close()
        self._bell.close()
        for child in self._children.values():
            child.channel.close()
            for connection in child.connections.values():
                connection.socket.close()
        for connection in self._waiting:
            connection.socket.close()
        self._condolences.close()

    def _bury_the_dead(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._children.pop(pid, None)  # as process 1 it gets orphans, too
            if child is not None:
                self._bury(child, os.waitstatus_to_exitcode(status))

    def _bury(self, child: Child, status: int) -> None:
        child.channel.close()
        reason = child.killed_for or _cause_of_death(status)
        if not (self._ending and status == 0):
            log.error("Worker %d died: %s", child.pid, reason)
        self._due[child.number] = self._time_of_birth(child)
        for connection in child.connections.values():
            exchange = self._board.exchanges[connection.number]
            if exchange == Exchange.BEGUN:
                self._owners[connection.socket.fileno()] = None
                self._condolences.send(connection, reason)
            elif exchange == Exchange.NONE and not self._ending:
                self._waiting.append(connection)
                self._owners[connection.socket.fileno()] = None
            else:
                self._drop(connection)

    def _time_of_birth(self, dead: Child) -> float:
        """When to replace a worker: at once, unless workers die as soon as they are there."""
        now = time.monotonic()
        self._early_deaths = self._early_deaths + 1 if now - dead.born < EARLY_SECONDS else 0
        return now if self._early_deaths <= EARLY_DEATHS else now + EARLY_SECONDS

    def _kill_the_silent(self) -> None:
        for child in self._children.values():
            if self._board.silent_seconds(child.number) > self._silence_seconds:
                child.killed_for = f"it gave no sign of life for {self._silence_seconds:g} s"
                self._board.sign_of_life(child.number)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)

    # --- the end ----------------------------------------------------------------------------

    def _close_port(self) -> None:
        """Let in who is in the backlog already; the next one is refused."""
        while select.select([self._listener], [], [], 0)[0] and self._children:
            self._accept()
            if not self._free_numbers:
                break
        if self._accepting:
            self._epoll.unregister(self._listener)
        self._listener.close()

    def _drain(self, grace_seconds: float) -> None:
        for child in self._children.values():
            child.channel.close()  # which tells the worker, after the last connection
        deadline = time.monotonic() + grace_seconds
        while (self._children or self._condolences) and time.monotonic() < deadline:
            self._turn()
        for child in self._children.values():
            child.killed_for = f"it was stopped {grace_seconds:g} s after SIGTERM"
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
        while self._children or self._condolences:
            self._turn()


def _just_wake(number: int, frame: object) -> None:
    """A handler that does nothing: the signal has interrupted a wait, that is all."""


def _cause_of_death(status: int) -> str:
    if status >= 0:
        return f"it ended with exit code {status}"
    name = signal.Signals(-status).name
    hint = ", which is also how the system ends a process when memory runs out"
    return f"it was ended by {name}{hint if name == 'SIGKILL' else ''}"
