"""What the tests of the guarded client put below it: names that lead where a test says, and connections that
are all led to one listener, so that whatever is let through is seen."""

import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import httpcore

from cryptocontent.integrations.web import Web
from cryptocontent.settings import Settings
from tests.fakes.web.raw import Listener


class Names:
    """A resolver. Each name has its answers, one for each time that it is asked, the last one for ever. Other
    hosts are what the system makes of numbers: `0x7f.1` is 127.0.0.1."""

    def __init__(self, answers: Mapping[str, Sequence[Sequence[str]]] | None = None) -> None:
        self.answers = {name: list(some) for name, some in (answers or {}).items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if some := self.answers.get(host):
            return some.pop(0) if len(some) > 1 else some[0]
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return [str(one[4][0]) for one in found]


@dataclass
class Dialer(httpcore.NetworkBackend):
    """Notes where a connection was to go, and leads it to the listener."""

    listener: Listener
    asked: list[tuple[str, int]] = field(default_factory=list)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        self.asked.append((host, port))
        return httpcore.SyncBackend().connect_tcp("127.0.0.1", self.listener.port, timeout)


def settings(*private: str, **values: object) -> Settings:
    return Settings(_env_file=None, web_private_hosts=list(private), **values)  # type: ignore[arg-type,call-arg]


@dataclass
class Trap:
    """A client whose every connection would reach the listener."""

    listener: Listener
    names: Names = field(default_factory=Names)
    private: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.dialer = Dialer(self.listener)
        self.web = Web(settings(*self.private), resolver=self.names, network=self.dialer)

    def fetch(self, url: str) -> object:
        return self.web.fetch(url, max_bytes=10_000, seconds=10)

    @property
    def untouched(self) -> bool:
        return self.listener.connections == 0 and self.dialer.asked == []
