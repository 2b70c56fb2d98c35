"""The Cohere SDK straight at the simulator: whole loops, buffered and streamed."""

import json
import logging

import cohere
from common import KEY, SIMULATOR, equal, raises
from pydantic import BaseModel


class Strict(logging.Handler):
    """The SDK skips an event that it cannot read and only warns of it; here that is a failure."""

    def emit(self, record):
        raise AssertionError(record.getMessage())


logging.getLogger().addHandler(Strict(logging.WARNING))

client = cohere.ClientV2(api_key=KEY, base_url=SIMULATOR)

# The SDK retries by itself unless it is told not to.
ONCE = {"max_retries": 0}

PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def tool(name, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}


CITY = {"type": "string"}

TOOLS = [tool("get_weather", city=CITY), tool("get_time", city=CITY)]


def user(content="Hello"):
    return {"role": "user", "content": content}


def unknown(value, path=""):
    """The members that the SDK's models do not know."""
    if isinstance(value, list):
        return [name for one in value for name in unknown(one, path)]
    if not isinstance(value, BaseModel):
        return []
    extra = [f"{path}.{name}" for name in value.model_extra or {}]
    return extra + [name for field, inner in value for name in unknown(inner, f"{path}.{field}")]


def gather(events):
    """Puts an answer together from its events, in the form of a whole one."""
    equal((events[0].type, events[-1].type), ("message-start", "message-end"))
    # The first event has the message's empty parts, which the real one sends and the SDK has no fields for.
    empty = [f".delta.message.{name}" for name in ("content", "tool_plan", "tool_calls", "citations")]
    equal(unknown(events[0]), empty, "unknown members of the first event")
    equal(unknown(events[1:]), [], "unknown members of events")
    content, calls, citations, logprobs, plan, open_blocks = [], [], [], [], "", set()
    for event in events[1:-1]:
        message = getattr(getattr(event, "delta", None), "message", None)
        if event.type == "content-start":
            equal(event.index, len(content), "index of a block")
            open_blocks.add(event.index)
            content.append({"type": message.content.type, message.content.type: ""})
        elif event.type == "content-delta":
            assert event.index in open_blocks
            kind = content[event.index]["type"]
            content[event.index][kind] += getattr(message.content, kind)
            if event.logprobs:
                logprobs.append(event.logprobs)
        elif event.type == "content-end":
            open_blocks.remove(event.index)
        elif event.type == "tool-plan-delta":
            plan += message.tool_plan
        elif event.type == "tool-call-start":
            equal(event.index, len(calls), "index of a call")
            calls.append(message.tool_calls.model_dump())
        elif event.type == "tool-call-delta":
            calls[event.index]["function"]["arguments"] += message.tool_calls.function.arguments
        elif event.type == "citation-start":
            equal(event.index, len(citations), "index of a citation")
            citations.append(message.citations)
        else:
            assert event.type in ("tool-call-end", "citation-end"), event
    equal(open_blocks, set(), "blocks left open")
    for call in calls:
        call["function"]["arguments"] = call["function"]["arguments"] or "{}"
    message = {
        "role": "assistant",
        "content": content or None,
        "tool_plan": plan or None,
        "tool_calls": calls or None,
        "citations": citations or None,
    }
    return cohere.AssistantMessageResponse.model_validate(message), events[-1].delta, logprobs


def ask(scenario, messages=None, **options):
    """Asks both ways, sees that the same was said, and gives the whole answer."""
    asked = {"model": f"sim-{scenario}", "messages": messages or [user()], "request_options": ONCE, **options}
    whole = client.chat(**asked)
    equal(unknown(whole), [], "unknown members")
    message, end, logprobs = gather(list(client.chat_stream(**asked)))
    # Only the ids differ: the two requests are not the same.
    known, streamed = whole.message.model_dump(exclude_none=True), message.model_dump(exclude_none=True)
    for said in [known, streamed]:
        for call in said.get("tool_calls", []):
            assert call.pop("id").startswith(call["function"]["name"] + "_"), call
    equal(streamed, known, "message")
    equal((end.finish_reason, end.error), (whole.finish_reason, None), "finish")
    equal(end.usage.tokens.output_tokens, whole.usage.tokens.output_tokens, "output tokens")
    equal(logprobs or None, whole.logprobs, "logprobs")
    return whole


def said(answer, kind="text"):
    return "".join(getattr(block, kind) for block in answer.message.content or [] if block.type == kind)


def refused(kind, said, **options):
    """Both ways fail with exactly this class."""
    asked = {"model": "sim-text", "messages": [user()], "request_options": ONCE, **options}
    for call in [lambda: client.chat(**asked), lambda: list(client.chat_stream(**asked))]:
        error = raises(kind, call)
        assert said in error.body["message"], error.body


def text():
    options = {"temperature": 0.5, "k": 40, "p": 0.9, "seed": 7, "max_tokens": 99, "safety_mode": "STRICT", "priority": 1}
    answer = ask("text", [{"role": "system", "content": "Be brief."}, user()], **options)
    assert said(answer).startswith("Simulated answer to: Hello (messages=2 system=1"), answer
    equal(answer.finish_reason, "COMPLETE")
    assert len(answer.id) == 36, answer.id
    again = [user(), answer.message, user("And?")]
    assert "And? (messages=3" in said(ask("text", again))
    assert "北京" in said(ask("unicode"))
    answer = ask("text", logprobs=True)
    equal("".join(item.text for item in answer.logprobs), said(answer))
    assert all(len(item.token_ids) == len(item.logprobs) == 1 for item in answer.logprobs)


def thinking():
    budget = {"type": "enabled", "token_budget": 512}
    answer = ask("think", thinking=budget)
    equal([block.type for block in answer.message.content], ["thinking", "text"])
    equal(said(answer, "thinking"), "First I read the question.")
    ask("text", [user(), answer.message, user("And?")], thinking=budget)
    answer = ask("interleaved")
    equal([block.type for block in answer.message.content], ["thinking", "text"] * 2)
    answer = ask("think", thinking={"type": "disabled"})
    equal([block.type for block in answer.message.content], ["text"])


def tools():
    answer = ask("tools", tools=TOOLS)
    equal(answer.finish_reason, "TOOL_CALL")
    calls = answer.message.tool_calls
    equal([call.function.name for call in calls], ["get_weather", "get_time"])
    equal([json.loads(call.function.arguments) for call in calls], [{"city": "value"}] * 2)
    assert answer.message.tool_plan
    results = [
        {"role": "tool", "tool_call_id": calls[1].id, "content": "noon"},
        {
            "role": "tool",
            "tool_call_id": calls[0].id,
            "content": [{"type": "document", "document": {"data": {"weather": "rain"}}}],
        },
    ]
    turns = [user(), answer.message, *results]
    done = ask("tools", turns, tools=TOOLS)
    equal((said(done), done.finish_reason), ('The tools said: noon | {"weather":"rain"}', "COMPLETE"))
    cited = ask("citations", turns, tools=TOOLS).message.citations[0]
    equal([source.id for source in cited.sources], [f"{calls[1].id}:0", f"{calls[0].id}:0"])
    equal([source.tool_output for source in cited.sources], [{"content": "noon"}, {"weather": "rain"}])
    refused(cohere.BadRequestError, "did not have response messages", messages=turns[:-1])
    refused(cohere.BadRequestError, "tool call id not found", messages=[*turns, results[0]])


def tool_choice():
    equal(len(ask("text", tools=TOOLS, tool_choice="REQUIRED").message.tool_calls), 1)
    equal(ask("tools", tools=TOOLS, tool_choice="NONE").message.tool_calls, None)
    refused(cohere.BadRequestError, "when tools are provided", tool_choice="REQUIRED")
    call = ask("tools", tools=[tool("now")], strict_tools=True).message.tool_calls[0]
    equal(call.function.arguments, "{}")
    answer = ask("think-tools", tools=TOOLS)
    equal((said(answer, "thinking"), len(answer.message.tool_calls)), ("A tool will tell.", 1))


def image():
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.jpg"}},
    ]
    assert "What is this? (messages=1 system=0 tools=0 images=2" in said(ask("text", [user(parts)]))


def documents():
    given = ["The sky is blue.", {"id": "grass", "data": {"title": "Grass", "text": "Grass is green."}}]
    answer = ask("citations", documents=given, citation_options={"mode": "ACCURATE"})
    cited = answer.message.citations[0]
    equal((cited.text, cited.start, cited.end, cited.type), (said(answer), 0, len(said(answer)), "TEXT_CONTENT"))
    equal([source.id for source in cited.sources], ["doc:0", "grass"])
    equal(cited.sources[1].document, {"id": "grass", "title": "Grass", "text": "Grass is green."})
    assert "documents=2" in said(ask("text", documents=given))
    equal(ask("citations", documents=given, citation_options={"mode": "DISABLED"}).message.citations, None)
    # An answer with citations goes back as it came.
    ask("text", [user(), answer.message, user("And?")], documents=given)


def schema():
    wanted = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "people": {"type": "integer"}},
        "required": ["name", "people"],
    }
    answer = ask("json", response_format={"type": "json_object", "json_schema": wanted})
    equal(json.loads(said(answer)), {"name": "value", "people": 1})
    equal(json.loads(said(ask("json", response_format={"type": "json_object"}))), {})
    refused(
        cohere.BadRequestError,
        "not supported with tools",
        response_format={"type": "json_object"},
        tools=TOOLS,
    )


def usage():
    counted = ask("usage").usage
    equal((counted.tokens.input_tokens, counted.cached_tokens, counted.billed_units.input_tokens), (1061, 700, 11))
    equal(counted.billed_units.output_tokens, counted.tokens.output_tokens)


def endings():
    for scenario, reason, options in [
        ("length", "MAX_TOKENS", {}),
        ("text", "MAX_TOKENS", {"max_tokens": 2}),
        ("length-tools", "MAX_TOKENS", {"tools": TOOLS}),
        ("broken-call", "TOOL_CALL", {"tools": TOOLS}),
        ("stop", "STOP_SEQUENCE", {"stop_sequences": ["sequence"]}),
        ("refusal", "COMPLETE", {}),
        ("blocked", "COMPLETE", {}),
        ("empty", "COMPLETE", {}),
    ]:
        equal(ask(scenario, **options).finish_reason, reason, scenario)
    equal(ask("empty").message.content, None)
    for scenario in ["error-mid", "error-early"]:
        last = list(client.chat_stream(model=f"sim-{scenario}", messages=[user()]))[-1]
        equal((last.type, last.delta.finish_reason), ("message-end", "ERROR"), scenario)
        assert last.delta.error


def errors():
    for name, kind, words in [
        ("error-400", cohere.BadRequestError, "invalid"),
        ("error-400-overflow", cohere.BadRequestError, "too many tokens"),
        ("error-403", cohere.ForbiddenError, ""),
        ("nothing", cohere.NotFoundError, "model 'sim-nothing' not found"),
        ("error-429", cohere.TooManyRequestsError, ""),
        ("error-500", cohere.InternalServerError, ""),
        ("error-503", cohere.ServiceUnavailableError, ""),
    ]:
        refused(kind, words, model=f"sim-{name}")
    wrong = cohere.ClientV2(api_key="bad-key", base_url=SIMULATOR)
    error = raises(
        cohere.UnauthorizedError,
        lambda: wrong.chat(model="sim-text", messages=[user()], request_options=ONCE),
    )
    equal(error.body["message"], "invalid api token")


def refusals():
    unknown = {"additional_body_parameters": {"top_p": 0.5}, **ONCE}
    refused(cohere.UnprocessableEntityError, "unknown field: parameter 'top_p'", request_options=unknown)
    refused(cohere.UnprocessableEntityError, "unrecognized safety mode 'NONE'", safety_mode="NONE")
    refused(cohere.UnprocessableEntityError, "invalid type: parameter 'k'", k="many")
    refused(cohere.BadRequestError, "temperature must be between 0 and 1.0 inclusive.", temperature=1.5)
    refused(cohere.BadRequestError, "maximum is 5, received 6.", stop_sequences=list("abcdef"))
    refused(cohere.BadRequestError, "tool names can only contain", tools=[tool("get-weather", city=CITY)])
    refused(cohere.BadRequestError, "at least one message", messages=[])
