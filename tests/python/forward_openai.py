"""The OpenAI SDK through the gateway to a provider of the same protocol: chat completions and responses."""

import openai
from common import KEY, URL, equal, raises, scenario

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)

HELLO = [{"role": "user", "content": "Hello"}]

ERRORS = {
    "error-400": (400, openai.BadRequestError),
    "error-401": (401, openai.AuthenticationError),
    "error-403": (403, openai.PermissionDeniedError),
    "error-404": (404, openai.NotFoundError),
    "error-429": (429, openai.RateLimitError),
    "error-500": (500, openai.InternalServerError),
    "error-503": (503, openai.InternalServerError),
}


def chat_text():
    for base in [f"{URL}/v1", URL]:
        answer = client.with_options(base_url=base).chat.completions.create(
            model=scenario("openai_chat", "text"), messages=HELLO
        )
        equal(answer.object, "chat.completion")
        equal(answer.choices[0].finish_reason, "stop")
        assert answer.choices[0].message.content
        equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)


def chat_stream():
    buffered = client.chat.completions.create(model=scenario("openai_chat", "text"), messages=HELLO)
    chunks = list(
        client.chat.completions.create(
            model=scenario("openai_chat", "text"),
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    equal(text, buffered.choices[0].message.content)
    finishes = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    equal([finish for finish in finishes if finish], ["stop"])
    assert chunks[-1].usage.total_tokens > 0 and not chunks[-1].choices, chunks[-1]
    silent = client.chat.completions.create(model=scenario("openai_chat", "text"), messages=HELLO, stream=True)
    assert all(chunk.choices and chunk.usage is None for chunk in silent)


def chat_errors():
    for name, (status, kind) in ERRORS.items():
        for stream in [False, True]:
            error = raises(
                kind,
                lambda: client.chat.completions.create(
                    model=scenario("openai_chat", name), messages=HELLO, stream=stream
                ),
            )
            equal(error.status_code, status, name)
            assert error.message, name
            if name == "error-429":
                assert int(error.response.headers["retry-after"]) > 0


def chat_refused_by_the_gateway():
    error = raises(
        openai.NotFoundError, lambda: client.chat.completions.create(model="no-such-model", messages=HELLO)
    )
    equal(error.code, "model_not_found")
    equal(error.param, "model")


def responses_text():
    answer = client.responses.create(model=scenario("openai_responses", "text"), input="Hello")
    equal(answer.status, "completed")
    assert answer.output_text
    assert answer.usage.total_tokens > 0


def responses_stream():
    buffered = client.responses.create(model=scenario("openai_responses", "text"), input="Hello")
    events = list(client.responses.create(model=scenario("openai_responses", "text"), input="Hello", stream=True))
    equal(events[0].type, "response.created")
    equal(events[-1].type, "response.completed")
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    equal(text, buffered.output_text)
    equal([event.sequence_number for event in events], list(range(len(events))))


def responses_errors():
    for name, (status, kind) in ERRORS.items():
        error = raises(
            kind, lambda: client.responses.create(model=scenario("openai_responses", name), input="Hello")
        )
        equal(error.status_code, status, name)
    error = raises(openai.NotFoundError, lambda: client.responses.create(model="no-such-model", input="Hello"))
    equal(error.code, "model_not_found")
