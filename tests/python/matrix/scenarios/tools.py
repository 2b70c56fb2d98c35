"""Tools: calls, results, and who may choose."""

from functools import partial

from ..client import Tool
from ..pair import Pair, equal


def tool(name: str, description: str, field: str) -> Tool:
    """A tool that takes one text."""
    schema = {
        "type": "object",
        "properties": {field: {"type": "string"}},
        "required": [field],
        "additionalProperties": False,
    }
    return Tool(name, description, schema)


WEATHER = tool("get_weather", "The weather in a city", "city")
TIME = tool("get_time", "The time in a zone", "zone")

# What the simulator makes of the two schemas.
CALLS = [("get_weather", {"city": "value"}), ("get_time", {"zone": "value"})]


def tools(pair: Pair) -> None:
    """Two calls at once, their results, and an answer that quotes both."""
    offered = [WEATHER, TIME]
    history = pair.client.user("What is the weather, and what is the time?")
    answer = pair.ask("tools", history, tools=offered)
    equal([(call.name, call.arguments) for call in answer.calls], CALLS, "calls")
    equal(answer.finish, "calls", "finish")
    if any(call.id for call in answer.calls):
        equal(len({call.id for call in answer.calls}), 2, "ids")
    said = [(call, f"{call.name} said 18") for call in answer.calls]
    history = [*history, *answer.turn, *pair.client.results(said)]
    seen = pair.echo(history, tools=offered)
    equal(seen.tools, [(tool.name, tool.schema) for tool in offered], "tools")
    equal(seen.calls, CALLS, "calls in the history")
    equal(seen.results, ["get_weather said 18", "get_time said 18"], "results")
    last = pair.ask("tools", history, tools=offered)
    equal((last.finish, last.calls), ("stop", []), "finish and calls of the last turn")
    assert all(f"{name} said 18" in last.text for name, _ in CALLS), last.text
    history = [*history, *last.turn, *pair.client.user("And now?")]
    equal(pair.echo(history, tools=offered).user[-1], "And now?", "words after the calls")


def tools_same(pair: Pair) -> None:
    """Two calls of one tool, which their ids or their order alone tell apart."""
    history = pair.client.user("What is the weather in two cities?")
    answer = pair.ask("tools", history, tools=[WEATHER])
    equal([call.name for call in answer.calls], ["get_weather"] * 2, "calls")
    said = [(call, f"{n} C") for n, call in enumerate(answer.calls)]
    history = [*history, *answer.turn, *pair.client.results(said)]
    equal(pair.echo(history, tools=[WEATHER]).results, ["0 C", "1 C"], "results")


def choice(pair: Pair, asked: str) -> None:
    """The choice has its effect, however the backend is told."""
    pair.needs("choice_named" if asked == TIME.name else f"choice_{asked}")
    turn = pair.client.user("What is the time?")
    # Of itself this scenario calls both tools, and the other one none.
    free = "tools" if asked in ("auto", "none") else "text"
    answer = pair.ask(free, turn, tools=[WEATHER, TIME], choice=asked)
    names = {
        "auto": ["get_weather", "get_time"],
        "none": [],
        "required": ["get_weather"],
        TIME.name: ["get_time"],
    }
    equal([call.name for call in answer.calls], names[asked], "calls")
    equal(answer.finish, "calls" if answer.calls else "stop", "finish")


SCENARIOS = {
    "tools": tools,
    "tools_same": tools_same,
    "choice_auto": partial(choice, asked="auto"),
    "choice_required": partial(choice, asked="required"),
    "choice_none": partial(choice, asked="none"),
    "choice_named": partial(choice, asked=TIME.name),
}
