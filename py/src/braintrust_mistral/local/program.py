"""A program that runs below this one: it gets the signals that this one gets, and its end is this one's end."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any


_FORWARDED = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
]
_KEYS = {"SIGINT", "SIGQUIT"}


class Program:
    """A process with our input, output and errors. Only the main thread may start one.

    Raises:
        OSError: where there is no such command, or it cannot be executed.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.is_to_stop = False
        """Whether the terminal has stopped the program for a while, as Ctrl-Z does, and `stop` is to be called."""
        self._before: dict[int, Any] = {}
        self._process = subprocess.Popen(command, env=environment)
        for number in _FORWARDED:
            # What is ignored here, as below nohup, is ignored there as well.
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._forward)
        if hasattr(signal, "SIGTSTP"):
            self._before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._on_stop)

    def wait(self, seconds: float) -> int | None:
        """Wait for the end, but no longer than that, and return the exit status: -n where signal n was the end."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
        return status

    def stop(self) -> None:
        """Stop this process too, until it is told to continue."""
        self.is_to_stop = False
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._on_stop)

    def _on_stop(self, *_: object) -> None:
        self.is_to_stop = True

    def _forward(self, number: int, _: FrameType | None) -> None:
        # Keys send their signals to all that runs in the foreground, and so to the program itself.
        if signal.Signals(number).name not in _KEYS or not _is_in_foreground():
            self._process.send_signal(number)


def end_as(status: int) -> int:
    """Return this exit status, or end this process by the signal that it stands for."""
    if status >= 0 or sys.platform == "win32":
        return status
    import resource

    sys.stdout.flush()
    sys.stderr.flush()
    # The program has left its core, if any.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if -status not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
    return 128 - status


def _is_in_foreground() -> bool:
    if sys.platform == "win32":
        return True
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
