"""The Anthropic SDK through the gateway to a provider of the same protocol."""

import anthropic
from common import KEY, URL, equal, raises, scenario

client = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0)

HELLO = [{"role": "user", "content": "Hello"}]

ERRORS = {
    "error-400": (400, anthropic.BadRequestError),
    "error-401": (401, anthropic.AuthenticationError),
    "error-403": (403, anthropic.PermissionDeniedError),
    "error-404": (404, anthropic.NotFoundError),
    "error-429": (429, anthropic.RateLimitError),
    "error-500": (500, anthropic.InternalServerError),
    "error-529": (529, anthropic.OverloadedError),
}


def text():
    answer = client.messages.create(model=scenario("anthropic", "text"), max_tokens=64, messages=HELLO)
    equal(answer.type, "message")
    equal(answer.stop_reason, "end_turn")
    equal(answer.content[0].type, "text")
    assert answer.content[0].text
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0


def stream():
    buffered = client.messages.create(model=scenario("anthropic", "text"), max_tokens=64, messages=HELLO)
    with client.messages.stream(model=scenario("anthropic", "text"), max_tokens=64, messages=HELLO) as events:
        text = "".join(events.text_stream)
        final = events.get_final_message()
    equal(text, buffered.content[0].text)
    equal([(block.type, block.text) for block in final.content], [("text", text)])
    equal(final.stop_reason, "end_turn")
    equal(final.usage.output_tokens, buffered.usage.output_tokens)


def thinking_and_tools():
    """The signature and the calls come back as they went, so the provider takes the next turn."""
    tools = [{"name": "get_weather", "description": "Weather", "input_schema": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}]
    ask = dict(
        model=scenario("anthropic", "think-tools"),
        max_tokens=4096,
        thinking={"type": "enabled", "budget_tokens": 1024},
        tools=tools,
    )
    history = [{"role": "user", "content": "What is the weather in Paris and in London?"}]
    for streamed in [False, True]:
        if streamed:
            with client.messages.stream(**ask, messages=history) as events:
                answer = events.get_final_message()
        else:
            answer = client.messages.create(**ask, messages=history)
        equal(answer.stop_reason, "tool_use")
        calls = [block for block in answer.content if block.type == "tool_use"]
        assert any(block.type == "thinking" and block.signature for block in answer.content), answer.content
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": "18 C"} for call in calls]
        turns = [*history, {"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
        last = client.messages.create(**ask, messages=turns)
        equal(last.stop_reason, "end_turn")


def errors():
    for name, (status, kind) in ERRORS.items():
        for stream in [False, True]:
            error = raises(
                kind,
                lambda: client.messages.create(
                    model=scenario("anthropic", name), max_tokens=64, messages=HELLO, stream=stream
                ),
            )
            equal(error.status_code, status, name)
            assert error.request_id, name
            if name == "error-429":
                assert int(error.response.headers["retry-after"]) > 0


def refused_by_the_gateway():
    error = raises(
        anthropic.NotFoundError,
        lambda: client.messages.create(model="no-such-model", max_tokens=64, messages=HELLO),
    )
    equal(error.type, "not_found_error")
    assert error.request_id
