"""HTTP byte by byte: a listener that counts who connects, and servers that speak as a test tells them."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Script = Callable[[socket.socket, threading.Event], None]
"""What is done with a connection; the event is set when the test is over."""


def answer(body: bytes = b"<p>hello</p>", head: bytes = b"HTTP/1.1 200 OK", *headers: bytes) -> bytes:
    """A whole response."""
    lines = [head, b"Content-Type: text/html", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@dataclass
class Listener:
    """`connections` counts those that were accepted; `heard` is what each of them said first."""

    port: int
    connections: int = 0
    heard: list[bytes] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)  # by SNI


@contextmanager
def listening(
    reply: bytes | Script | None = None, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[Listener]:
    """A listener on a loopback port that answers every connection with these bytes, or by this script."""
    over = threading.Event()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as server:
        server.bind((host, 0))
        server.listen(64)
        listener = Listener(server.getsockname()[1])
        if tls is not None:
            tls.sni_callback = lambda connection, name, context: listener.names.append(name)

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                listener.connections += 1
                threading.Thread(target=speak, args=(connection,), daemon=True).start()

        def speak(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                listener.heard.append(connection.recv(65536))
                if callable(reply):
                    reply(connection, over)
                else:
                    connection.sendall(reply if reply is not None else answer())
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener
        finally:
            over.set()
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
            thread.join(5)
