"""The Anthropic SDK over a chat completions backend.

What the backend said is known by asking it directly, with its own SDK: nothing here repeats a fixture.
"""

import base64
import json

import anthropic
import openai
from common import KEY, SIMULATOR, URL, equal, fidelity, lost, raises, received, scenario, upstream_model

client = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0)
direct = openai.OpenAI(base_url=f"{SIMULATOR}/v1", api_key=KEY, max_retries=0)

HELLO = [{"role": "user", "content": "Hello"}]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

PDF = base64.b64encode(b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n").decode()

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}

WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}

ASK = [{"role": "user", "content": "What is the weather in Paris and in London?"}]


def said(name, **more):
    """What the backend itself answers in a scenario."""
    return direct.chat.completions.create(
        model=upstream_model(name), **{"messages": HELLO, **more}
    )


def ask(name, messages=HELLO, **more):
    return client.messages.create(
        model=scenario("openai_chat", name), messages=messages, **{"max_tokens": 4096, **more}
    )


def raw(name, messages=HELLO, **more):
    return client.messages.with_raw_response.create(
        model=scenario("openai_chat", name), messages=messages, **{"max_tokens": 4096, **more}
    )


def streamed(name, messages=HELLO, **more):
    """Reads a stream with the SDK's helper and checks the order of its events."""
    with client.messages.stream(
        model=scenario("openai_chat", name), messages=messages, **{"max_tokens": 4096, **more}
    ) as events:
        kinds = [event.type for event in events if event.type.startswith(("message_", "content_block_"))]
        final = events.get_final_message()
    equal(kinds[0], "message_start")
    equal(kinds[-1], "message_stop")
    equal(kinds.count("content_block_start"), len(final.content), "blocks started")
    equal(kinds.count("content_block_stop"), len(final.content), "blocks stopped")
    return final


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def check_usage(usage, theirs):
    """The prompt's own tokens depend on the request's spelling; everything else is the backend's to say."""
    cached = theirs.prompt_tokens_details.cached_tokens or 0
    equal(usage.cache_read_input_tokens or 0, cached, "cache_read_input_tokens")
    equal(usage.output_tokens, theirs.completion_tokens, "output_tokens")
    assert 0 < usage.input_tokens < theirs.prompt_tokens * 4, (usage, theirs)
    if cached:
        assert abs(usage.input_tokens + cached - theirs.prompt_tokens) < cached, (usage, theirs)


def text():
    theirs = said("text")
    answer = ask("text")
    equal(answer.type, "message")
    equal(answer.role, "assistant")
    equal(text_of(answer), theirs.choices[0].message.content)
    equal(answer.stop_reason, "end_turn")
    check_usage(answer.usage, theirs.usage)


def stream():
    theirs = said("text")
    final = streamed("text")
    equal(text_of(final), theirs.choices[0].message.content)
    equal(final.stop_reason, "end_turn")
    check_usage(final.usage, theirs.usage)


def turns():
    """System text as a string and as blocks, several turns, turns of one role in a row, cache marks."""
    mark = {"type": "ephemeral"}
    messages = [
        {"role": "user", "content": "One"},
        {"role": "user", "content": [{"type": "text", "text": "Two", "cache_control": mark}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Three"}, {"type": "text", "text": "Four"}]},
        {"role": "user", "content": "Five"},
    ]
    for system in ["Be brief.", [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "In English.", "cache_control": mark}]]:
        equal(ask("text", messages, system=system).stop_reason, "end_turn")
        equal(streamed("text", messages, system=system).stop_reason, "end_turn")


def media():
    parts = [
        {"type": "text", "text": "What is this?"},
        IMAGE,
        {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}, "title": "a.pdf"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Plain words."}},
    ]
    answer = raw("text", [{"role": "user", "content": parts}])
    assert answer.parse().content[0].text
    equal(lost(answer), [], "what was lost")


def tool_loop():
    """Parallel calls, their results in one turn: an image, an error, and text after them."""
    theirs = said("tools", messages=ASK, tools=[openai_tool()]).choices[0].message.tool_calls
    assert len(theirs) > 1, theirs
    for read in [ask, streamed]:
        answer = read("tools", ASK, tools=[WEATHER])
        equal(answer.stop_reason, "tool_use")
        calls = [block for block in answer.content if block.type == "tool_use"]
        equal(
            [(call.name, call.input) for call in calls],
            [(call.function.name, json.loads(call.function.arguments)) for call in theirs],
        )
        turn = {"role": "assistant", "content": answer.content}
        plain = [{"type": "tool_result", "tool_use_id": call.id, "content": "18 C"} for call in calls]
        last = ask("tools", [*ASK, turn, {"role": "user", "content": plain}], tools=[WEATHER])
        equal(last.stop_reason, "end_turn")
        assert "18 C" in text_of(last), last
        rich = [
            {"type": "tool_result", "tool_use_id": calls[0].id, "content": [{"type": "text", "text": "Look"}, IMAGE]},
            {"type": "tool_result", "tool_use_id": calls[1].id, "content": "no such city", "is_error": True},
            *({"type": "tool_result", "tool_use_id": call.id} for call in calls[2:]),
            {"type": "text", "text": "And?"},
        ]
        last = raw("text", [*ASK, turn, {"role": "user", "content": rich}], tools=[WEATHER])
        equal(last.parse().stop_reason, "end_turn")
        assert "images=1" in text_of(last.parse()), last.parse()
        equal(lost(last), [], "what was lost")


def tool_choice():
    for choice in [
        {"type": "auto"},
        {"type": "any"},
        {"type": "none"},
        {"type": "tool", "name": "get_weather"},
        {"type": "auto", "disable_parallel_tool_use": True},
    ]:
        assert ask("text", ASK, tools=[WEATHER], tool_choice=choice).stop_reason in ("end_turn", "tool_use")
    forced = ask("tools", ASK, tools=[WEATHER], tool_choice={"type": "tool", "name": "get_weather"})
    equal({block.name for block in forced.content if block.type == "tool_use"}, {"get_weather"})


def reasoning():
    """A backend that shows its reasoning; the blocks come back in the next turn and are accepted."""
    more = {"tools": [WEATHER], "thinking": {"type": "enabled", "budget_tokens": 2048}}
    for read in [ask, streamed]:
        answer = read("think-tools", ASK, **more)
        equal(answer.stop_reason, "tool_use")
        assert any(block.type == "thinking" and block.thinking for block in answer.content), answer.content
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": "18 C"}
            for block in answer.content
            if block.type == "tool_use"
        ]
        turns = [*ASK, {"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
        equal(ask("think-tools", turns, **more).stop_reason, "end_turn")


def what_the_backend_gets():
    """Fields that have a twin arrive under its name, with the same meaning."""
    choices = [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "get_weather"}, {"type": "function", "function": {"name": "get_weather"}}),
    ]
    for choice, expected in choices:
        ask("text", ASK, tools=[WEATHER], tool_choice=choice)
        equal(received().get("tool_choice", "auto"), expected, "tool_choice")
    ask("text", ASK, tools=[WEATHER], tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    equal(received()["parallel_tool_calls"], False)
    ask("text", ASK, tools=[WEATHER])
    functions = [tool["function"] for tool in received()["tools"]]
    equal([(tool["name"], tool["parameters"]) for tool in functions], [("get_weather", WEATHER["input_schema"])])
    ask("text", max_tokens=50, stop_sequences=["END", "STOP"])
    body = received()
    equal(body.get("max_completion_tokens", body.get("max_tokens")), 50)
    equal(body["stop"], ["END", "STOP"])
    ask("text", system="Be brief.")
    first = received()["messages"][0]
    assert first["role"] in ("system", "developer"), first
    words = first["content"] if isinstance(first["content"], str) else first["content"][0]["text"]
    equal(words, "Be brief.")
    ask("text", [{"role": "user", "content": [{"type": "text", "text": "See"}, IMAGE]}])
    equal(received()["messages"][0]["content"][1]["image_url"]["url"], f"data:image/png;base64,{PIXEL}")
    results = [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "18 C"},
        {"type": "tool_result", "tool_use_id": "toolu_2", "content": [{"type": "text", "text": "20 C"}]},
    ]
    calls = [
        {"type": "tool_use", "id": f"toolu_{n}", "name": "get_weather", "input": {"city": "Paris", "n": n}}
        for n in [1, 2]
    ]
    ask("text", [*ASK, {"role": "assistant", "content": calls}, {"role": "user", "content": results}], tools=[WEATHER])
    equal([message["role"] for message in received()["messages"]], ["user", "assistant", "tool", "tool"])
    sent = received()["messages"][1]["tool_calls"]
    equal([json.loads(call["function"]["arguments"]) for call in sent], [call["input"] for call in calls])
    equal([call["id"] for call in sent], [message["tool_call_id"] for message in received()["messages"][2:]])


def stop_reasons():
    for name, reason in [("length", "max_tokens"), ("refusal", "refusal")]:
        equal(ask(name).stop_reason, reason, name)
        equal(streamed(name).stop_reason, reason, name)


def structured_output():
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
        "required": ["city", "degrees"],
        "additionalProperties": False,
    }
    answer = raw("json", ASK, output_config={"format": {"type": "json_schema", "schema": schema}})
    equal(sorted(json.loads(text_of(answer.parse()))), ["city", "degrees"])
    equal(lost(answer), [], "what was lost")


def usage_with_cache():
    theirs = said("usage")
    assert theirs.usage.prompt_tokens_details.cached_tokens, theirs.usage
    check_usage(ask("usage").usage, theirs.usage)
    check_usage(streamed("usage").usage, theirs.usage)


ERRORS = {
    "error-400": (400, "invalid_request_error", anthropic.BadRequestError),
    "error-401": (401, "authentication_error", anthropic.AuthenticationError),
    "error-403": (403, "permission_error", anthropic.PermissionDeniedError),
    "error-404": (404, "not_found_error", anthropic.NotFoundError),
    "error-429": (429, "rate_limit_error", anthropic.RateLimitError),
    "error-500": (500, "api_error", anthropic.InternalServerError),
    "error-503": (529, "overloaded_error", anthropic.OverloadedError),
}


def errors():
    for name, (status, word, kind) in ERRORS.items():
        for stream in [False, True]:
            error = raises(kind, lambda: ask(name, stream=stream))
            equal((error.status_code, error.type), (status, word), name)
            assert error.request_id and error.api_message, name
            if name == "error-429":
                assert int(error.response.headers["retry-after"]) > 0
    too_long = raises(anthropic.BadRequestError, lambda: ask("error-400-overflow"))
    assert "prompt is too long" in too_long.api_message, too_long.api_message


def broken_streams():
    for name in ["cut", "error-mid"]:
        seen = []

        def drain():
            for event in ask(name, stream=True):
                seen.append(event.type)

        error = raises_api_error(drain)
        assert error.body["error"]["type"], error.body
        assert "content_block_delta" in seen and "message_stop" not in seen, (name, seen)


def losses():
    answer = raw("text", extra_body={"top_k": 5})
    assert "top_k" in fidelity(answer)["dropped"], answer.headers
    strict = {"extra_headers": {"busbar-fidelity": "strict"}}
    error = raises(anthropic.BadRequestError, lambda: ask("text", extra_body={"top_k": 5}, **strict))
    assert "top_k" in error.api_message, error.api_message
    equal(ask("text", **strict).stop_reason, "end_turn")


def openai_tool():
    return {
        "type": "function",
        "function": {
            "name": WEATHER["name"],
            "description": WEATHER["description"],
            "parameters": WEATHER["input_schema"],
        },
    }


def raises_api_error(call):
    """An error inside a stream has the class of its type; here it only has to be one, with a native body."""
    try:
        call()
    except anthropic.APIStatusError as error:
        return error
    raise AssertionError("the stream ended as if it were whole")
