"""One SDK over one backend, as the scenarios see it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .client import Answer, Client, Request
from .received import Received, received

# All six, by the one name that each has everywhere.
PROTOCOLS = ("openai_chat", "openai_responses", "anthropic", "gemini", "bedrock", "cohere")


class Skip(Exception):
    """A scenario that this pair can not play, with the reason."""


@dataclass(frozen=True)
class Pair:
    """A client, a backend, and whether the answers are streamed."""

    client: Client
    client_name: str
    backend: str
    stream: bool
    # Whether no gateway is between the two.
    straight: bool

    def ask(self, scenario: str, turns: list[Any], backend: str | None = None, **more: Any) -> Answer:
        """Asks the backend to play a scenario of the simulator."""
        backend = backend or self.backend
        model = f"sim-{scenario}" if self.straight else f"{backend}-{scenario}"
        return self.client.ask(Request(model, turns, stream=self.stream, **more))

    def echo(self, turns: list[Any], **more: Any) -> Received:
        """What the backend receives."""
        answer = self.ask("echo", turns, **more)
        equal(answer.finish, "stop", "finish")
        return received(self.backend, answer.text)

    def needs(self, *features: str) -> None:
        """Skips what the client can not say."""
        for feature in features:
            if reason := self.client.unsupported.get(feature):
                raise Skip(reason)

    def raises(self, call: Callable[[], Any]) -> Exception:
        """Makes a call that has to fail in a way that the SDK documents."""
        try:
            result = call()
        except self.client.raised as error:
            return error
        raise AssertionError(f"no exception, but {result!r}")


def equal(actual: Any, expected: Any, what: str) -> None:
    """Says what differs."""
    assert actual == expected, f"{what}: {actual!r}, expected {expected!r}"
