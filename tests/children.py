"""Children of this process, warm from the first moment, to be sent signals."""

import os
import pickle
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any


class Child:
    """A fork of this process that calls a function and sends back what it gives, and when."""

    def __init__(self, function: Callable[[], Any]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        ours, theirs = os.pipe()
        with warnings.catch_warnings():
            # Threads of other tests may still be there: none of them holds what the child needs.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            self._work(function, theirs)
        os.close(theirs)
        self._pipe = os.fdopen(ours, "rb")
        assert pickle.load(self._pipe) == "begun"

    @staticmethod
    def _work(function: Callable[[], Any], pipe: int) -> None:
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with os.fdopen(pipe, "wb") as file:
                pickle.dump("begun", file)
                file.flush()
                try:
                    told = function()
                except KeyboardInterrupt:
                    told = KeyboardInterrupt
                pickle.dump((time.monotonic(), told), file)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def send(self, number: int) -> float:
        """Send a signal; when that was, None of it if the child had ended."""
        os.kill(self.pid, number)
        return time.monotonic()

    def end(self) -> tuple[int, float, Any]:
        """Wait for its end: its exit code, negative where it was killed, when it was done, and what its function gave."""
        content = self._pipe.read()
        self._pipe.close()
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return (code, *pickle.loads(content)) if code == 0 else (code, time.monotonic(), None)
