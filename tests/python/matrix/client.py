"""The one interface behind which the SDKs differ: what is asked, what is answered, what fails."""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

# Where the calls go: the gateway, or the simulator itself.
URL = os.environ["BUSBAR_URL"]

KEY = "sk-test-caller"

# Seconds that any one call may take.
TIMEOUT = 20

# Tokens that a thinking model may spend, where a protocol asks for a number.
THINKING_BUDGET = 1024


@dataclass(frozen=True)
class Tool:
    """A function that the model may call."""

    name: str
    description: str
    schema: dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A call of a function; some protocols have no id."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Usage:
    """Tokens, with the protocol's own arithmetic undone: `None` is a figure that it does not have."""

    # All of the prompt, cached or not.
    prompt: int
    # All of the output, reasoning included.
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


@dataclass(frozen=True)
class Answer:
    """An answer; `turn` is what a user of the SDK appends to the history, the SDK's own objects.

    `plain` is the same as many write it by hand: what the documents of the provider show, and no more.
    """

    text: str
    reasoning: str
    calls: list[Call]
    # One of: stop, sequence, length, calls, refusal.
    finish: str
    usage: Usage
    turn: list[Any]
    plain: list[Any]


@dataclass(frozen=True)
class Request:
    """A question; `turns` are in the form of the SDK."""

    model: str
    turns: list[Any]
    system: str = ""
    tools: Sequence[Tool] = ()
    # One of: auto, required, none, or the name of a tool.
    choice: str | None = None
    schema: dict[str, Any] | None = None
    thinking: bool = False
    limit: int = 4096
    stop: Sequence[str] = ()
    stream: bool = False


@dataclass(frozen=True)
class Failure:
    """What an exception of the SDK says."""

    status: int
    # The machine-readable word, where the protocol has one.
    word: str | None
    message: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Expected:
    """How one class of failure reaches a user of the SDK."""

    kind: type[Exception]
    statuses: Sequence[int]
    word: str | None = None
    # Part of the message that programs look for.
    says: str = ""


class Broken(Exception):
    """A stream told of an error in the way that the protocol documents, for which the SDK has no exception."""


@dataclass
class Whole:
    """What is gathered from a stream by hand, as users of SDKs without a helper do."""

    finish: str | None = None
    usage: Any = None
    blocks: dict[int, dict[str, Any]] = field(default_factory=dict)


class Client(ABC):
    """An official SDK."""

    # What the protocol cannot say or the SDK cannot do, with the reason.
    unsupported: ClassVar[dict[str, str]] = {}
    # The classes of all that the SDK raises when a call or a stream fails.
    raised: ClassVar[tuple[type[Exception], ...]]
    # By the name of the error, as the scenarios have it.
    errors: ClassVar[dict[str, Expected]]

    @abstractmethod
    def user(self, text: str, image: bytes | None = None, pdf: bytes | None = None) -> list[Any]:
        """A turn of the user; the text comes after the media."""

    @abstractmethod
    def results(self, results: Sequence[tuple[Call, str]]) -> list[Any]:
        """What the tools said."""

    @abstractmethod
    def ask(self, request: Request) -> Answer:
        """Asks, and reads the answer whole or as a stream."""

    @abstractmethod
    def failure(self, error: Exception) -> Failure:
        """Reads an exception of one of the expected classes."""


def finish(reasons: dict[str, str], reason: str | None) -> str:
    """Translates a reason to stop; an answer without one is not whole, and an unknown one is no reason."""
    assert reason is not None, "the answer has no reason to stop: it is cut and nothing says so"
    assert reason in reasons, f"unknown reason to stop: {reason!r}"
    return reasons[reason]
