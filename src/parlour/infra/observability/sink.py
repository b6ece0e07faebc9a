"""Where log lines go: a bounded queue and one thread that writes them, so that a slow disk or a full pipe
never holds up a request. When the queue is full, new lines are dropped and counted.
"""

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable

QUEUE_LINES = 10_000  # at 2 kB a line at most, some 20 MB when nobody reads
FLUSH_SECONDS = 2.0
GATHER_SECONDS = 0.02  # waking the thread for every single line would cost more than writing it
LARGEST_WRITE = 64 * 1024


class LogSink:
    """A file-like object of lines. Only its own thread ever waits for the file."""

    def __init__(self, descriptor: int, *, limit: int = QUEUE_LINES) -> None:
        """Write to the file ``descriptor``; the thread starts with the first line."""
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes | None] = queue.Queue(limit)
        self._thread: threading.Thread | None = None
        self._start = threading.Lock()
        self._on_drop: Callable[[], None] = _ignore

    def count_drops(self, count: Callable[[], None]) -> None:
        """Call ``count`` for every line that is dropped from now on."""
        self._on_drop = count

    def write(self, text: str) -> int:
        """Queue ``text``, or drop it when the queue is full; never waits."""
        if self._thread is None:
            self._begin()
        try:
            self._lines.put_nowait(text.encode("utf-8", "backslashreplace"))
        except queue.Full:
            self._on_drop()
        return len(text)

    def flush(self) -> None:
        """Do nothing: writers never wait. See :meth:`close`."""

    def close(self) -> None:
        """Write what is queued, for at most two seconds, and end the thread."""
        thread = self._thread
        if thread is None:
            return
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=FLUSH_SECONDS)
            thread.join(FLUSH_SECONDS)
        self._thread = None

    def _begin(self) -> None:
        with self._start:
            if self._thread is None:
                # A daemon: a hung sink must not keep the process from ending.
                self._thread = threading.Thread(target=self._drain, name="parlour-log", daemon=True)
                self._thread.start()

    def _drain(self) -> None:
        open_still = True
        while open_still:
            lines, open_still = self._gathered()
            while lines:
                try:
                    lines = lines[os.write(self._descriptor, lines) :]
                except BlockingIOError:
                    threading.Event().wait(0.05)
                except OSError:
                    for _ in lines.splitlines():
                        self._on_drop()
                    break

    def _gathered(self) -> tuple[bytes, bool]:
        """Wait for lines and return those of the next moment, and whether more may come."""
        lines = []
        size = 0
        line = self._lines.get()
        time.sleep(GATHER_SECONDS)
        while line is not None:
            lines.append(line)
            size += len(line)
            if size >= LARGEST_WRITE:
                break
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                break
        return b"".join(lines), line is not None


def _ignore() -> None:
    """Count nothing."""
