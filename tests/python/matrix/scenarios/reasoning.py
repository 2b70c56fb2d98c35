"""Reasoning that is shown, signed or hidden, and comes back in the next turn."""

from functools import partial

from ..pair import Pair, equal
from .tools import WEATHER

# Backends whose reasoning is signed or sealed; the simulator verifies what it gets.
SIGNING = ("openai_responses", "anthropic", "gemini", "bedrock")

# What the backend that plans its calls apart says before them; to others it is more reasoning.
PLAN = "I will use the tools."

# Backends that give hidden reasoning to keep.
SEALING = ("openai_responses", "anthropic", "bedrock")


def think(pair: Pair) -> None:
    history = pair.client.user("Hello")
    answer = pair.ask("think", history, thinking=True)
    equal(answer.reasoning, "First I read the question.", "reasoning")
    assert answer.text.startswith("Simulated answer to: Hello"), answer.text
    equal(answer.finish, "stop", "finish")
    history = [*history, *answer.turn, *pair.client.user("And?")]
    equal(pair.ask("think", history, thinking=True).finish, "stop", "finish of the second turn")


def think_tools(pair: Pair, plain: bool = False) -> None:
    """The signature has to come back with the result of the call."""
    more = {"tools": [WEATHER], "thinking": True}
    history = pair.client.user("What is the weather?")
    answer = pair.ask("think-tools", history, **more)
    said = answer.reasoning.removesuffix(PLAN).rstrip() if pair.backend == "cohere" else answer.reasoning
    equal(said, "A tool will tell.", "reasoning")
    equal([call.name for call in answer.calls], ["get_weather"], "calls")
    equal(answer.finish, "calls", "finish")
    turn = answer.plain if plain else answer.turn
    history = [*history, *turn, *pair.client.results([(answer.calls[0], "18 C")])]
    seen = pair.echo(history, **more)
    equal(seen.results, ["18 C"], "results")
    if pair.backend in SIGNING:
        assert seen.signed, "the signature did not come back"
    last = pair.ask("think-tools", history, **more)
    equal((last.finish, last.calls), ("stop", []), "finish and calls of the last turn")
    assert "18 C" in last.text, last.text


def redacted(pair: Pair) -> None:
    history = pair.client.user("Hello")
    answer = pair.ask("redacted", history, thinking=True)
    assert answer.text.startswith("Simulated answer to: Hello"), answer.text
    equal((answer.reasoning, answer.finish), ("", "stop"), "reasoning and finish")
    history = [*history, *answer.turn, *pair.client.user("And?")]
    seen = pair.echo(history, thinking=True)
    if pair.backend in SEALING:
        assert seen.hidden, "the seal did not come back"


def interleaved(pair: Pair) -> None:
    history = pair.client.user("Hello")
    answer = pair.ask("interleaved", history, thinking=True)
    # What stands between the two is the client's protocol's affair.
    thoughts = answer.reasoning.replace("Second", " Second").split()
    equal(" ".join(thoughts), "First thought. Second thought.", "reasoning")
    equal(answer.text, "First text. Second text.", "text")
    history = [*history, *answer.turn, *pair.client.user("And?")]
    equal(pair.ask("interleaved", history, thinking=True).finish, "stop", "finish of the second turn")


SCENARIOS = {
    "think": think,
    "think_tools": think_tools,
    "think_tools_plain": partial(think_tools, plain=True),
    "redacted": redacted,
    "interleaved": interleaved,
}
