"""A conversation that another provider began."""

from functools import partial

from ..pair import PROTOCOLS, Pair, Skip, equal
from .tools import TIME, WEATHER


def switch(pair: Pair, first: str) -> None:
    """Thinking, then calls, answered by one provider; the results and the rest go to another."""
    if pair.straight:
        raise Skip("one provider alone")
    if first == pair.backend:
        raise Skip("the same provider")
    more = {"tools": [WEATHER, TIME], "thinking": True}
    history = pair.client.user("Hello")
    try:
        thought = pair.ask("think", history, backend=first, **more)
        history = [*history, *thought.turn, *pair.client.user("What is the weather?")]
        answer = pair.ask("think-tools", history, backend=first, **more)
        equal([call.name for call in answer.calls], ["get_weather"], "calls")
    except Exception as error:
        raise Skip(f"{pair.client_name} over {first} fails already, and has a test of its own") from error
    history = [*history, *answer.turn, *pair.client.results([(answer.calls[0], "18 C")])]
    seen = pair.echo(history, **more)
    equal(seen.user, ["Hello", "What is the weather?"], "words of the user")
    equal(seen.calls, [("get_weather", {"city": "value"})], "calls in the history")
    equal(seen.results, ["18 C"], "results")
    last = pair.ask("text", history, **more)
    assert "18 C" in last.text, last.text
    equal(last.finish, "stop", "finish")
    history = [*history, *last.turn, *pair.client.user("And?")]
    equal(pair.ask("think", history, **more).finish, "stop", "finish of the third turn")


SCENARIOS = {f"switch_from_{first}": partial(switch, first=first) for first in PROTOCOLS}
