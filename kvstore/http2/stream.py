"""What a connection knows of one request and its answer."""

from __future__ import annotations


class Stream:
    """`window`: bytes that may be sent. `out`: what waits to be sent; `done`: nothing more will come to it.
    `half_closed`: the client has sent all. Made in `connection.Connection.opened`.

    `ENDS_IN_DATA`: an answer ends with its last bytes, so that `tail` is for one that has none left to send.
    """

    ENDS_IN_DATA = False

    __slots__ = ("consumed", "done", "half_closed", "id", "out", "received", "window")

    def __init__(self, stream_id: int, window: int) -> None:
        self.id, self.window = stream_id, window
        self.out = bytearray()
        self.done = self.half_closed = False
        self.received = self.consumed = 0

    def receive(self, payload: bytes, *, end: bool) -> None:
        """The next bytes of the client's, which ends with them if `end`."""
        raise NotImplementedError

    def head(self) -> bytes:
        """Frames to send before anything of `out`; empty if they were sent."""
        return b""

    def tail(self) -> bytes:
        """Frames that end the answer, once it is `done` and all of `out` is sent."""
        raise NotImplementedError

    def sent(self) -> None:
        """All of `out` is on its way."""

    def over(self) -> None:
        """It was answered, or the client or the connection ended it: nothing more will be sent."""
