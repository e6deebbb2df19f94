"""The image `kuberaft/pause`: does nothing until it is told to end. Uses the standard library's core only."""

from __future__ import annotations

import signal

if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    # As the first process of a PID namespace the default action would be ignored, so the signals
    # are waited for.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
