"""Ctrl-C, heard where a training can end without losing anything."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Interrupts:
    """Ctrl-C while a training runs: noted for those who ask, and raised only where it cannot cost what has been reached."""

    def __init__(self) -> None:
        self.heard = False
        self._raises = False

    def hear(self, number: int, frame: Any) -> None:
        """Handle the signal."""
        self.heard = True
        if self._raises:
            raise KeyboardInterrupt

    @contextmanager
    def raised(self) -> Iterator[None]:
        """For as long as this lasts KeyboardInterrupt is raised at once, of a Ctrl-C before too: for what may take long."""
        self._raises = True
        try:
            if self.heard:
                raise KeyboardInterrupt
            yield
        finally:
            self._raises = False


@contextmanager
def noted() -> Iterator[Interrupts]:
    """Ctrl-C is noted for as long as this lasts: in the main thread, and where nobody else handles it."""
    found = Interrupts()
    is_ours = threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield found
        return
    signal.signal(signal.SIGINT, found.hear)
    try:
        yield found
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def left_to_finish(work: Callable[[], Any]) -> None:
    """Do what must not be cut off, or hears no signal, while Ctrl-C is heard: that leaves the work to finish by itself.

    A process that ends waits for it: neither an import nor LLVM would survive the end.
    """
    if threading.current_thread() is not threading.main_thread():
        work()
        return
    errors: list[BaseException] = []

    def do_it() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    worker = threading.Thread(target=do_it)
    worker.start()
    worker.join()
    if errors:
        raise errors[0]
