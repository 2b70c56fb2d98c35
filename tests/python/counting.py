"""How long a prompt is, asked with every SDK that asks, of every backend."""

import base64
import json
import struct
import urllib.request

import anthropic
import boto3
import openai
from common import KEY, SIMULATOR, URL, equal, raises, scenario
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

COUNTING = ["openai_responses", "anthropic", "gemini", "bedrock"]
ESTIMATED = ["openai_chat", "cohere"]

TEXT = "What is the weather in Paris, and what should I wear for a long walk along the river?"
SYSTEM = "You are a careful assistant. Answer in one sentence. " * 20
SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "description": "Name of the city " * 20}}}
# The head of a picture of 1024 by 1024, and nothing of what is in it.
PICTURE = base64.b64encode(
    b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 1024, 1024) + b"\x08\x02\0\0\0" + bytes(60_000)).decode()

claude = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0)
chat = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
google = genai.Client(api_key=KEY, vertexai=False, http_options=types.HttpOptions(base_url=URL))
aws = boto3.client("bedrock-runtime", endpoint_url=URL, region_name="us-east-1",
                   aws_access_key_id="AKIATEST", aws_secret_access_key="secret")


def last():
    """The last request that the simulator took."""
    with urllib.request.urlopen(f"{SIMULATOR}/__sim/requests", timeout=10) as answer:
        return json.load(answer)["requests"][-1]


def size(request):
    """What the simulator says of a request, as each of its protocols wraps it."""
    body = json.loads(request["body"])
    body = body["input"]["converse"] if request["path"].endswith("/count-tokens") else body
    return len(json.dumps(body, separators=(",", ":"))) // 4 + 1


def every_backend(ask):
    """`ask` returns a number, and the header that says whether it is an estimate."""
    for protocol in COUNTING:
        short, header = ask(scenario(protocol, "text"), False)
        equal(header, None, f"{protocol} estimates")
        equal(short, size(last()), protocol)
        paths = {"openai_responses": "/v1/responses/input_tokens", "anthropic": "/v1/messages/count_tokens",
                 "gemini": "/v1beta/models/sim-text:countTokens", "bedrock": "/model/sim-text/count-tokens"}
        # A caller of Gemini's has its own version in the path.
        equal(last()["path"].replace("/v1/models/", "/v1beta/models/"), paths[protocol])
        long, _ = ask(scenario(protocol, "text"), True)
        assert long > short + 250, f"{protocol}: {short} and {long} with system and tools"
    for protocol in ESTIMATED:
        before = last()["id"]
        short, header = ask(scenario(protocol, "text"), False)
        equal(header, "estimate; error=15%")
        assert 18 <= short <= 40, short
        long, _ = ask(scenario(protocol, "text"), True)
        assert short + 250 < long < short + 500, f"{protocol}: {short} and {long} with system and tools"
        equal(last()["id"], before, "the provider was asked")
    # Who says that it does not count is not asked again, and the caller does not see it.
    for protocol in COUNTING:
        short, header = ask(f"{protocol}/sim-uncounted", False)
        equal((header, 18 <= short <= 40), ("estimate; error=15%", True))
    # Bedrock counts for a model, not for a place.
    _, header = ask("bedrock/us.sim-text", False)
    equal((header, last()["path"]), (None, "/model/sim-text/count-tokens"))


def anthropic_counts():
    def ask(model, more):
        more = {"system": SYSTEM, "tools": [{"name": "weather", "input_schema": SCHEMA}]} if more else {}
        raw = claude.messages.with_raw_response.count_tokens(
            model=model, messages=[{"role": "user", "content": TEXT}], **more)
        return raw.parse().input_tokens, raw.headers.get("busbar-tokens")
    every_backend(ask)
    raises(anthropic.NotFoundError, lambda: claude.messages.count_tokens(model="nobody", messages=[]))
    raises(anthropic.BadRequestError, lambda: claude.messages.count_tokens(
        model=scenario("gemini", "text"), messages=[{"role": "nobody", "content": "a"}]))


def anthropic_counts_what_agents_send():
    """A picture, a tool loop, thinking and cache marks; over a beta path with its flags."""
    content = [
        {"role": "user", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}},
            {"type": "text", "text": TEXT, "cache_control": {"type": "ephemeral"}}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "18 degrees"}]},
    ]
    for protocol in COUNTING + ESTIMATED:
        counted = claude.beta.messages.count_tokens(
            model=scenario(protocol, "text"), messages=content, betas=["context-management-2025-06-27"],
            tools=[{"name": "weather", "input_schema": SCHEMA}])
        assert counted.input_tokens > 0, protocol
        if protocol in ESTIMATED:
            # By its size, not by its letters.
            assert 800 < counted.input_tokens < 1200, (protocol, counted.input_tokens)


def responses_counts():
    def ask(model, more):
        more = {"instructions": SYSTEM, "tools": [
            {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}]} if more else {}
        raw = chat.responses.input_tokens.with_raw_response.count(model=model, input=TEXT, **more)
        answer = raw.parse()
        equal(answer.object, "response.input_tokens")
        return answer.input_tokens, raw.headers.get("busbar-tokens")
    every_backend(ask)
    error = raises(openai.NotFoundError, lambda: chat.responses.input_tokens.count(model="nobody", input="a"))
    equal(error.code, "model_not_found")


def gemini_counts():
    def ask(model, more):
        extra = {}
        if more:
            extra = {"generateContentRequest": {
                "model": f"models/{model}", "contents": [{"role": "user", "parts": [{"text": TEXT}]}],
                "systemInstruction": {"parts": [{"text": SYSTEM}]},
                "tools": [{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": SCHEMA}]}]}}
            # The SDK has no arguments for it, but sends what it is told to add; both at once is for the server to refuse.
            return raw_gemini(model, extra)
        answer = google.models.count_tokens(model=model, contents=TEXT)
        header = answer.sdk_http_response.headers.get("busbar-tokens") if answer.sdk_http_response else None
        return answer.total_tokens, header
    every_backend(ask)
    error = raises(genai_errors.ClientError, lambda: google.models.count_tokens(model="nobody", contents="a"))
    equal((error.code, error.status), (404, "NOT_FOUND"))


def raw_gemini(model, body):
    request = urllib.request.Request(f"{URL}/v1beta/models/{model}:countTokens", json.dumps(body).encode(),
                                     {"x-goog-api-key": KEY, "content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["totalTokens"], answer.headers.get("busbar-tokens")


def bedrock_counts():
    def ask(model, more):
        converse = {"messages": [{"role": "user", "content": [{"text": TEXT}]}]}
        if more:
            converse |= {"system": [{"text": SYSTEM}],
                         "toolConfig": {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}}}]}}
        answer = aws.count_tokens(modelId=model, input={"converse": converse})
        return answer["inputTokens"], answer["ResponseMetadata"]["HTTPHeaders"].get("busbar-tokens")
    every_backend(ask)
    raises(aws.exceptions.ResourceNotFoundException, lambda: aws.count_tokens(
        modelId="nobody", input={"converse": {"messages": [{"role": "user", "content": [{"text": "a"}]}]}}))
    refused = raises(aws.exceptions.ValidationException, lambda: aws.count_tokens(
        modelId=scenario("anthropic", "text"), input={"invokeModel": {"body": b"{}"}}))
    assert "converse" in str(refused), refused
