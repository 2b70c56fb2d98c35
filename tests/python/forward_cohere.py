"""The Cohere SDK through the gateway to a provider of the same protocol."""

import cohere
from common import KEY, URL, equal, raises, scenario

client = cohere.ClientV2(api_key=KEY, base_url=URL)

HELLO = [{"role": "user", "content": "Hello"}]

ERRORS = {
    "error-400": (400, cohere.BadRequestError),
    "error-401": (401, cohere.UnauthorizedError),
    "error-403": (403, cohere.ForbiddenError),
    "error-404": (404, cohere.NotFoundError),
    "error-429": (429, cohere.TooManyRequestsError),
    "error-500": (500, cohere.InternalServerError),
    "error-503": (503, cohere.ServiceUnavailableError),
}

# The SDK retries by itself unless it is told not to.
ONCE = {"max_retries": 0}


def text():
    answer = client.chat(model=scenario("cohere", "text"), messages=HELLO)
    equal(answer.finish_reason, "COMPLETE")
    assert answer.message.content[0].text


def stream():
    buffered = client.chat(model=scenario("cohere", "text"), messages=HELLO)
    events = list(client.chat_stream(model=scenario("cohere", "text"), messages=HELLO))
    equal(events[0].type, "message-start")
    equal(events[-1].type, "message-end")
    text = "".join(event.delta.message.content.text for event in events if event.type == "content-delta")
    equal(text, buffered.message.content[0].text)


def errors():
    for name, (status, kind) in ERRORS.items():
        error = raises(
            kind,
            lambda: client.chat(model=scenario("cohere", name), messages=HELLO, request_options=ONCE),
        )
        equal(error.status_code, status, name)
        error = raises(
            kind,
            lambda: list(client.chat_stream(model=scenario("cohere", name), messages=HELLO, request_options=ONCE)),
        )
        equal(error.status_code, status, name)


def refused_by_the_gateway():
    error = raises(
        cohere.NotFoundError,
        lambda: client.chat(model="no-such-model", messages=HELLO, request_options=ONCE),
    )
    equal(error.status_code, 404)
