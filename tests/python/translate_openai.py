"""The OpenAI SDK over an Anthropic backend.

What the backend said is known by asking it directly, with its own SDK: nothing here repeats a fixture.
"""

import base64
import json

import anthropic
import openai
from common import KEY, SIMULATOR, URL, equal, fidelity, lost, raises, received, scenario, upstream_model
from pydantic import BaseModel

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
direct = anthropic.Anthropic(base_url=SIMULATOR, api_key=KEY, max_retries=0)

HELLO = [{"role": "user", "content": "Hello"}]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

PDF = base64.b64encode(b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n").decode()

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}

ASK = [{"role": "user", "content": "What is the weather in Paris and in London?"}]


def model(name):
    return scenario("anthropic", name)


def said(name, **more):
    """What the backend itself answers in a scenario."""
    more = {"max_tokens": 4096, "messages": HELLO, **more}
    return direct.messages.create(model=upstream_model(name), **more)


def ask(name, messages=HELLO, **more):
    return client.chat.completions.create(model=model(name), messages=messages, **more)


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def check_usage(usage, theirs):
    """The prompt's own tokens depend on the request's spelling; everything else is the backend's to say."""
    read, written = theirs.cache_read_input_tokens or 0, theirs.cache_creation_input_tokens or 0
    assert usage.prompt_tokens > read + written, (usage, theirs)
    equal(usage.completion_tokens, theirs.output_tokens, "completion_tokens")
    equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens, "total_tokens")
    if read:
        equal(usage.prompt_tokens_details.cached_tokens, read, "cached_tokens")
    thought = theirs.output_tokens_details.thinking_tokens
    if thought:
        equal(usage.completion_tokens_details.reasoning_tokens, thought, "reasoning_tokens")


def collect(stream):
    """What a careful user of a stream keeps: role, text, calls by index, the reason, usage, and extra fields."""
    kept = {"content": "", "calls": {}, "finish": [], "usage": None, "reasoning": "", "ids": set()}
    for chunk in stream:
        kept["ids"].add(chunk.id)
        if chunk.usage:
            equal(chunk.choices, [], "choices of the usage chunk")
            kept["usage"] = chunk.usage
        for choice in chunk.choices:
            delta = choice.delta
            kept["content"] += delta.content or ""
            kept["reasoning"] += getattr(delta, "reasoning_content", None) or ""
            for call in delta.tool_calls or []:
                seen = kept["calls"].setdefault(call.index, {"id": "", "name": "", "arguments": ""})
                seen["id"] += call.id or ""
                seen["name"] += call.function.name or ""
                seen["arguments"] += call.function.arguments or ""
            if choice.finish_reason:
                kept["finish"].append(choice.finish_reason)
    equal(len(kept["ids"]), 1, "ids in one stream")
    return kept


def text():
    theirs = said("text")
    answer = ask("text")
    equal(answer.object, "chat.completion")
    equal(answer.choices[0].message.content, text_of(theirs))
    equal(answer.choices[0].message.role, "assistant")
    equal(answer.choices[0].finish_reason, "stop")
    assert not answer.choices[0].message.tool_calls
    check_usage(answer.usage, theirs.usage)


def stream():
    theirs = said("text")
    kept = collect(ask("text", stream=True, stream_options={"include_usage": True}))
    equal(kept["content"], text_of(theirs))
    equal(kept["finish"], ["stop"])
    check_usage(kept["usage"], theirs.usage)
    equal(collect(ask("text", stream=True))["usage"], None)


def turns():
    """System and developer text, several turns, turns of one role in a row, names, a system turn in between."""
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Answer in English."}]},
        {"role": "user", "content": "One", "name": "ann"},
        {"role": "user", "content": [{"type": "text", "text": "Two"}, {"type": "text", "text": "Three"}]},
        {"role": "assistant", "content": "Four"},
        {"role": "system", "content": "Now be long."},
        {"role": "user", "content": "Five"},
    ]
    equal(ask("text", messages).choices[0].finish_reason, "stop")
    assert collect(ask("text", messages, stream=True))["content"]


def media():
    data = f"data:image/png;base64,{PIXEL}"
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": data}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
    ]
    raw = client.chat.completions.with_raw_response.create(
        model=model("text"), messages=[{"role": "user", "content": parts}]
    )
    assert raw.parse().choices[0].message.content
    equal(lost(raw), [], "what was lost")


def tool_loop():
    """Parallel calls, answered out of order and followed by a question, in one history."""
    theirs = [block for block in said("tools", tools=[anthropic_tool()]).content if block.type == "tool_use"]
    assert len(theirs) > 1, theirs
    for streamed in [False, True]:
        if streamed:
            kept = collect(ask("tools", ASK, tools=[WEATHER], stream=True))
            equal(kept["finish"], ["tool_calls"])
            calls = [kept["calls"][index] for index in sorted(kept["calls"])]
            equal(sorted(kept["calls"]), list(range(len(theirs))))
        else:
            answer = ask("tools", ASK, tools=[WEATHER])
            equal(answer.choices[0].finish_reason, "tool_calls")
            calls = [
                {"id": call.id, "name": call.function.name, "arguments": call.function.arguments}
                for call in answer.choices[0].message.tool_calls
            ]
        equal([(call["name"], json.loads(call["arguments"])) for call in calls], [(t.name, t.input) for t in theirs])
        assert len({call["id"] for call in calls}) == len(calls)
        turn = {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}}
                for c in calls
            ],
        }
        results = [{"role": "tool", "tool_call_id": call["id"], "content": "18 C"} for call in reversed(calls)]
        last = ask("tools", [*ASK, turn, *results], tools=[WEATHER])
        equal(last.choices[0].finish_reason, "stop")
        assert "18 C" in last.choices[0].message.content, last
        more = [{"role": "user", "content": "And?"}]
        assert ask("text", [*ASK, turn, *results, *more], tools=[WEATHER]).choices[0].message.content


def tool_results():
    """Results as parts, empty results, arguments that are not JSON."""
    turn = {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": f"call_{n}", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
            for n, arguments in enumerate(['{"city":"Paris"}', "", '{"city":"Lon'])
        ],
    }
    results = [
        {"role": "tool", "tool_call_id": "call_0", "content": [{"type": "text", "text": "18 C"}]},
        {"role": "tool", "tool_call_id": "call_1", "content": ""},
        {"role": "tool", "tool_call_id": "call_2", "content": "Error: no such city"},
    ]
    equal(ask("text", [*ASK, turn, *results], tools=[WEATHER]).choices[0].finish_reason, "stop")


def tool_choice():
    named = {"type": "function", "function": {"name": "get_weather"}}
    for choice in ["auto", "required", "none", named]:
        for parallel in [True, False]:
            answer = ask("text", ASK, tools=[WEATHER], tool_choice=choice, parallel_tool_calls=parallel)
            assert answer.choices[0].finish_reason in ("stop", "tool_calls"), choice
    forced = ask("tools", ASK, tools=[WEATHER], tool_choice=named)
    equal({call.function.name for call in forced.choices[0].message.tool_calls}, {"get_weather"})


def thinking_tool_loop():
    """The backend checks its signatures; the client knows nothing of them."""
    more = {"tools": [WEATHER], "reasoning_effort": "medium"}
    for turn in [thinking_plain(more), thinking_objects(more), thinking_streamed(more)]:
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": "18 C"} for call in turn["tool_calls"]
        ]
        raw = client.chat.completions.with_raw_response.create(
            model=model("think-tools"), messages=[*ASK, turn, *results], **more
        )
        equal(raw.parse().choices[0].finish_reason, "stop")
        equal(lost(raw), [], "what was lost")


def thinking_plain(more):
    """Only what the documented type has: role, content, calls."""
    message = ask("think-tools", ASK, **more).choices[0].message
    return {
        "role": "assistant",
        "content": message.content,
        "tool_calls": [
            {"id": c.id, "type": "function", "function": {"name": c.function.name, "arguments": c.function.arguments}}
            for c in message.tool_calls
        ],
    }


def thinking_objects(more):
    """The SDK's own object put back."""
    message = ask("think-tools", ASK, **more).choices[0].message
    assert message.reasoning_content, "the thinking can be read"
    return message.model_dump(exclude_none=True)


def thinking_streamed(more):
    kept = collect(ask("think-tools", ASK, stream=True, **more))
    assert kept["reasoning"], "the thinking can be read"
    equal(kept["finish"], ["tool_calls"])
    return {
        "role": "assistant",
        "content": kept["content"] or None,
        "tool_calls": [
            {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}}
            for _, c in sorted(kept["calls"].items())
        ],
    }


def thinking_of_every_shape():
    """Thinking that is redacted, and thinking between texts: what comes back in the history is accepted."""
    for name in ["think", "redacted", "interleaved"]:
        for streamed in [False, True]:
            if streamed:
                kept = collect(ask(name, ASK, reasoning_effort="high", stream=True))
                equal(kept["finish"], ["stop"])
                turn = {"role": "assistant", "content": kept["content"]}
            else:
                message = ask(name, ASK, reasoning_effort="high").choices[0].message
                turn = message.model_dump(exclude_none=True)
            history = [*ASK, turn, {"role": "user", "content": "And?"}]
            equal(ask(name, history, reasoning_effort="high").choices[0].finish_reason, "stop", name)


def what_the_backend_gets():
    """Fields that have a twin arrive under its name, with the same meaning."""
    named = {"type": "function", "function": {"name": "get_weather"}}
    choices = [
        ("auto", {"type": "auto"}),
        ("required", {"type": "any"}),
        ("none", {"type": "none"}),
        (named, {"type": "tool", "name": "get_weather"}),
    ]
    for choice, expected in choices:
        ask("text", ASK, tools=[WEATHER], tool_choice=choice)
        equal({"type": "auto", **(received().get("tool_choice") or {})}, expected, "tool_choice")
    ask("text", ASK, tools=[WEATHER], parallel_tool_calls=False)
    equal(received()["tool_choice"]["disable_parallel_tool_use"], True)
    ask("text", ASK, tools=[WEATHER])
    equal([(tool["name"], tool["input_schema"]) for tool in received()["tools"]],
          [("get_weather", WEATHER["function"]["parameters"])])
    equal(received()["tools"][0]["description"], "The weather in a city")
    for limit in ["max_tokens", "max_completion_tokens"]:
        ask("text", **{limit: 50})
        equal(received()["max_tokens"], 50)
    ask("text", stop=["END", "STOP"], temperature=0.25, top_p=0.5)
    equal(received()["stop_sequences"], ["END", "STOP"])
    equal((received()["temperature"], received()["top_p"]), (0.25, 0.5))
    ask("text", stop="END")
    equal(received()["stop_sequences"], ["END"])
    ask("text", [{"role": "developer", "content": "Be brief."}, *HELLO])
    system = received()["system"]
    equal(system if isinstance(system, str) else "".join(part["text"] for part in system), "Be brief.")
    data = f"data:image/png;base64,{PIXEL}"
    ask("text", [{"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": data}}]}])
    source = received()["messages"][0]["content"][1]["source"]
    equal((source["type"], source["media_type"], source["data"]), ("base64", "image/png", PIXEL))


def accumulator():
    """The SDK's own helper reads the stream, thinking and calls included."""
    with client.chat.completions.stream(
        model=model("think-tools"), messages=ASK, tools=[WEATHER], reasoning_effort="medium"
    ) as events:
        for _ in events:
            pass
        final = events.get_final_completion()
    equal(final.choices[0].finish_reason, "tool_calls")
    assert all(json.loads(call.function.arguments)["city"] for call in final.choices[0].message.tool_calls)


def stop_reasons():
    for name, reason in [("length", "length"), ("refusal", "content_filter"), ("stop", "stop")]:
        more = {"stop": ["END"]} if name == "stop" else {}
        equal(ask(name, **more).choices[0].finish_reason, reason, name)
        equal(collect(ask(name, stream=True, **more))["finish"], [reason], name)


def structured_output():
    class Answer(BaseModel):
        city: str
        degrees: int

    parsed = client.chat.completions.parse(model=model("json"), messages=ASK, response_format=Answer)
    assert isinstance(parsed.choices[0].message.parsed, Answer)
    raw = client.chat.completions.with_raw_response.create(
        model=model("json"),
        messages=ASK,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": {**Answer.model_json_schema(), "additionalProperties": False}},
        },
    )
    Answer.model_validate_json(raw.parse().choices[0].message.content)
    equal(lost(raw), [], "what was lost")


def usage_with_cache():
    theirs = said("usage")
    assert theirs.usage.cache_read_input_tokens and theirs.usage.cache_creation_input_tokens, theirs.usage
    check_usage(ask("usage").usage, theirs.usage)
    check_usage(collect(ask("usage", stream=True, stream_options={"include_usage": True}))["usage"], theirs.usage)


ERRORS = {
    "error-400": (400, openai.BadRequestError),
    "error-401": (401, openai.AuthenticationError),
    "error-403": (403, openai.PermissionDeniedError),
    "error-404": (404, openai.NotFoundError),
    "error-429": (429, openai.RateLimitError),
    "error-500": (500, openai.InternalServerError),
    "error-529": (529, openai.InternalServerError),
}


def errors():
    for name, (status, kind) in ERRORS.items():
        for streamed in [False, True]:
            error = raises(kind, lambda: ask(name, stream=streamed))
            equal(error.status_code, status, name)
            assert error.body["message"] and error.body["type"], error.body
            if name == "error-429":
                assert int(error.response.headers["retry-after"]) > 0
                equal(error.code, "rate_limit_exceeded")
    too_long = raises(openai.BadRequestError, lambda: ask("error-400-overflow"))
    equal(too_long.code, "context_length_exceeded")


def broken_streams():
    for name in ["cut", "error-mid"]:
        stream = ask(name, stream=True)
        seen = []

        def drain():
            for chunk in stream:
                seen.append(chunk)

        raises(openai.APIError, drain)
        assert any(chunk.choices and chunk.choices[0].delta.content for chunk in seen), name
        assert not any(chunk.choices and chunk.choices[0].finish_reason for chunk in seen), name


def several_answers():
    """The backend gives one answer: it is asked three times."""
    one = ask("text").usage
    answer = ask("text", n=3)
    equal([choice.index for choice in answer.choices], [0, 1, 2])
    equal({choice.message.content for choice in answer.choices}, {ask("text").choices[0].message.content})
    equal(answer.usage.completion_tokens, 3 * one.completion_tokens)
    said, usage = {}, None
    for chunk in ask("text", n=3, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            said[choice.index] = said.get(choice.index, "") + (choice.delta.content or "")
    equal(said, {choice.index: choice.message.content for choice in answer.choices})
    equal(usage.completion_tokens, 3 * one.completion_tokens)


def losses():
    raw = client.chat.completions.with_raw_response.create(
        model=model("text"), messages=HELLO, seed=7, logit_bias={"50256": -100}, frequency_penalty=0.5
    )
    dropped = fidelity(raw)["dropped"]
    for field in ["seed", "logit_bias", "frequency_penalty"]:
        assert field in dropped, dropped
    strict = client.with_options(default_headers={"busbar-fidelity": "strict"})
    error = raises(
        openai.BadRequestError,
        lambda: strict.chat.completions.create(model=model("text"), messages=HELLO, seed=7),
    )
    assert "seed" in error.message, error.message
    equal(strict.chat.completions.create(model=model("text"), messages=HELLO).choices[0].finish_reason, "stop")


def anthropic_tool():
    function = WEATHER["function"]
    return {"name": function["name"], "description": function["description"], "input_schema": function["parameters"]}
