"""The Google SDK through the gateway to a provider of the same protocol."""

from common import KEY, URL, equal, raises, scenario
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

ERRORS = {
    "error-400": (400, "INVALID_ARGUMENT", genai_errors.ClientError),
    "error-401": (401, "UNAUTHENTICATED", genai_errors.ClientError),
    "error-403": (403, "PERMISSION_DENIED", genai_errors.ClientError),
    "error-404": (404, "NOT_FOUND", genai_errors.ClientError),
    "error-429": (429, "RESOURCE_EXHAUSTED", genai_errors.ClientError),
    "error-500": (500, "INTERNAL", genai_errors.ServerError),
    "error-503": (503, "UNAVAILABLE", genai_errors.ServerError),
}


def clients():
    """Today's default path and the older one."""
    for version in [None, "v1beta", "v1"]:
        options = types.HttpOptions(base_url=URL, api_version=version)
        yield genai.Client(api_key=KEY, vertexai=False, http_options=options)


def text():
    for client in clients():
        answer = client.models.generate_content(model=scenario("gemini", "text"), contents="Hello")
        assert answer.text
        equal(answer.candidates[0].finish_reason, types.FinishReason.STOP)
        assert answer.usage_metadata.total_token_count > 0


def stream():
    for client in clients():
        buffered = client.models.generate_content(model=scenario("gemini", "text"), contents="Hello")
        chunks = list(client.models.generate_content_stream(model=scenario("gemini", "text"), contents="Hello"))
        equal("".join(chunk.text or "" for chunk in chunks), buffered.text)
        equal(chunks[-1].candidates[0].finish_reason, types.FinishReason.STOP)


def errors():
    client = next(clients())
    for name, (status, word, kind) in ERRORS.items():
        error = raises(kind, lambda: client.models.generate_content(model=scenario("gemini", name), contents="Hi"))
        equal((error.code, error.status), (status, word), name)
        error = raises(
            kind, lambda: list(client.models.generate_content_stream(model=scenario("gemini", name), contents="Hi"))
        )
        equal((error.code, error.status), (status, word), name)


def refused_by_the_gateway():
    client = next(clients())
    error = raises(
        genai_errors.ClientError,
        lambda: client.models.generate_content(model="no-such-model", contents="Hello"),
    )
    equal((error.code, error.status), (404, "NOT_FOUND"))
