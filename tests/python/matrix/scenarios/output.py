"""How an answer ends, what form it has, and what it costs."""

import json

from ..pair import Pair, equal

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}

# Protocols in which an answer says that a stop sequence ended it.
TELLING = ("anthropic", "bedrock", "cohere")

# Of the `usage` scenario: all of the prompt, what the cache gave, what it took, and the reasoning.
PROMPT, READ, WRITTEN, REASONING = 1061, 700, 350, 17


def schema(pair: Pair) -> None:
    answer = pair.ask("json", pair.client.user("What is the weather?"), schema=SCHEMA)
    equal(json.loads(answer.text), {"city": "value", "degrees": 1}, "answer")
    equal((answer.finish, answer.calls), ("stop", []), "finish and calls")


def stop(pair: Pair) -> None:
    pair.needs("stop")
    turn = pair.client.user("Hello")
    answer = pair.ask("stop", turn, stop=["END"])
    equal(answer.text.strip(), "All before the sequence.", "text")
    told = pair.client_name in TELLING and pair.backend in TELLING
    assert answer.finish in (("sequence",) if told else ("stop", "sequence")), answer.finish
    if pair.backend != "openai_responses":
        equal(pair.echo(turn, stop=["ONE END", "TWO END"]).stop, ["ONE END", "TWO END"], "stop sequences")


def length(pair: Pair) -> None:
    answer = pair.ask("length", pair.client.user("Hello"))
    equal(answer.text, "This answer is longer than it may", "text")
    equal(answer.finish, "length", "finish")


def refusal(pair: Pair) -> None:
    answer = pair.ask("refusal", pair.client.user("Hello"))
    # Cohere's answers may refuse in plain words, and its backend does.
    plain = "cohere" in (pair.client_name, pair.backend)
    assert answer.finish in (("stop", "refusal") if plain else ("refusal",)), answer.finish
    assert answer.text in ("I can not help with that.", ""), answer.text


def usage(pair: Pair) -> None:
    """The same numbers, whatever a protocol counts into what."""
    answer = pair.ask("usage", pair.client.user("Hello"))
    seen = answer.usage
    equal(seen.prompt, PROMPT, "tokens of the prompt")
    equal(seen.cache_read, READ, "tokens from the cache")
    equal(seen.output, answer.text.count(" ") + 1 + REASONING, "tokens of the output")
    tells = ("anthropic", "bedrock")
    if seen.cache_write is not None and pair.backend in tells:
        equal(seen.cache_write, WRITTEN, "tokens into the cache")
    if seen.reasoning is not None and pair.backend not in ("bedrock", "cohere"):
        equal(seen.reasoning, REASONING, "tokens of the reasoning")


SCENARIOS = {
    "schema": schema,
    "stop": stop,
    "length": length,
    "refusal": refusal,
    "usage": usage,
}
