"""A fake's ASGI application as a real HTTP server, in a thread, for the length of a `with` block."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

_START_SECONDS = 10


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def serving(app: Any, host: str = "127.0.0.1", port: int = 0, *, lifespan: bool = False) -> Iterator[str]:
    """Serve `app` on a free port (or on `port`); yields its base URL, without a slash at the end."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
        config = uvicorn.Config(
            app,
            ws="none",
            lifespan="on" if lifespan else "off",
            log_config=None,
            access_log=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        server = _Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), name="fake", daemon=True)
        thread.start()
        try:
            if not server.ready.wait(_START_SECONDS):
                raise RuntimeError("the fake did not start")
            yield f"http://{host}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_START_SECONDS)
            if thread.is_alive():
                raise RuntimeError("the fake did not stop")
