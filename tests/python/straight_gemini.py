"""The Google SDK straight at the simulator: whole loops, buffered and streamed."""

import base64
import json

from common import KEY, SIMULATOR, equal, raises
from google import genai
from google.genai import errors as genai_errors
from google.genai import types
from pydantic import BaseModel

client = genai.Client(api_key=KEY, vertexai=False, http_options=types.HttpOptions(base_url=SIMULATOR))

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"

WEATHER = types.FunctionDeclaration(
    name="get_weather",
    description="The weather in a city",
    parameters=types.Schema(
        type="OBJECT", properties={"city": types.Schema(type="STRING")}, required=["city"]
    ),
)

TIME = types.FunctionDeclaration(
    name="get_time",
    description="The time in a city",
    parameters_json_schema={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
)

MANUAL = types.AutomaticFunctionCallingConfig(disable=True)


class City(BaseModel):
    name: str
    people: int


def ask(scenario, contents="Hello", **config):
    """Asks both ways: what was answered whole, and the chunks of the same as a stream."""
    model = f"sim-{scenario}"
    config = types.GenerateContentConfig(**config)
    whole = client.models.generate_content(model=model, contents=contents, config=config)
    chunks = list(client.models.generate_content_stream(model=model, contents=contents, config=config))
    equal({chunk.response_id for chunk in chunks}, {whole.response_id}, "response_id")
    return whole, chunks


def parts(*answers):
    """All parts of some answers, as a client keeps them for the next turn."""
    return [
        part
        for answer in answers
        for candidate in answer.candidates or []
        for part in (candidate.content.parts if candidate.content else None) or []
    ]


def words(kept, thought=False):
    return "".join(part.text or "" for part in kept if bool(part.thought) == thought)


def finish(answer):
    return answer.candidates[0].finish_reason


def conversation(kept, *later):
    first = types.Content(role="user", parts=[types.Part(text="Hello")])
    return [first, types.Content(role="model", parts=kept), *later]


def user(*kept):
    return types.Content(role="user", parts=list(kept))


def text():
    whole, chunks = ask("text", system_instruction="Be brief.", temperature=0.5, top_k=40, max_output_tokens=99)
    assert whole.text.startswith("Simulated answer to: Hello (messages=1 system=1"), whole.text
    assert len(chunks) > 1
    equal(words(parts(*chunks)), whole.text)
    equal([finish(chunk) for chunk in chunks[:-1]], [None] * (len(chunks) - 1))
    equal((finish(whole), finish(chunks[-1])), (types.FinishReason.STOP,) * 2)
    equal(whole.model_version, "sim-text")
    whole, chunks = ask("unicode")
    equal(words(parts(*chunks)), whole.text)
    whole, _ = ask("text", candidate_count=3)
    equal([candidate.index for candidate in whole.candidates], [0, 1, 2])


def thinking():
    whole, chunks = ask("think", thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=1024))
    for kept in [parts(whole), parts(*chunks)]:
        equal(words(kept, thought=True), "First I read the question.")
        assert words(kept).startswith("Simulated answer"), kept
        signed = [part for part in kept if part.thought_signature]
        equal(len(signed), 1, "signatures")
        equal(signed[0], kept[-1])
        again, _ = ask("text", conversation(kept, user(types.Part(text="And?"))))
        assert "messages=3" in again.text, again.text
        damaged = [part.model_copy(deep=True) for part in kept]
        damaged[-1].thought_signature = b"never said"
        error = raises(
            genai_errors.ClientError, lambda: ask("text", conversation(damaged, user(types.Part(text="And?"))))
        )
        equal((error.code, error.message), (400, "Corrupted thought signature."))
    whole, chunks = ask("interleaved")
    for kept in [parts(whole), parts(*chunks)]:
        equal(words(kept, thought=True), "First thought.Second thought.")
        equal(sum(bool(part.thought and part.thought_signature) for part in kept), 2, "signed thoughts")
        ask("text", conversation(kept, user(types.Part(text="And?"))))
    whole, chunks = ask("redacted")
    for kept in [parts(whole), parts(*chunks)]:
        equal(words(kept, thought=True), "")
        assert kept[-1].thought_signature


def loop(scenario, names):
    """Calls, answers by hand, and what comes of leaving out what belongs to it."""
    tools = [types.Tool(function_declarations=[WEATHER, TIME])]
    config = {"tools": tools, "automatic_function_calling": MANUAL}
    whole, chunks = ask(scenario, **config)
    for last, kept in [(whole, parts(whole)), (chunks[-1], parts(*chunks))]:
        calls = [part for part in kept if part.function_call]
        equal([part.function_call.name for part in calls], names)
        equal([part.function_call.args for part in calls], [{"city": "value"}] * len(names))
        assert all(part.function_call.id for part in calls)
        # Of parallel calls the first alone is signed, and calls end as any answer does.
        equal([bool(part.thought_signature) for part in calls], [True] + [False] * (len(names) - 1))
        equal(finish(last), types.FinishReason.STOP)
        results = user(
            *[
                types.Part(
                    function_response=types.FunctionResponse(
                        id=part.function_call.id, name=part.function_call.name, response={"output": f"result {n}"}
                    )
                )
                for n, part in enumerate(calls)
            ]
        )
        done, done_chunks = ask(scenario, conversation(kept, results), **config)
        expected = " | ".join(f'{{"output":"result {n}"}}' for n in range(len(names)))
        equal(done.text, f"The tools said: {expected}")
        equal(words(parts(*done_chunks)), done.text)

        unsigned = [part.model_copy(update={"thought_signature": None}) for part in kept]
        error = raises(genai_errors.ClientError, lambda: ask(scenario, conversation(unsigned, results), **config))
        assert error.message.startswith("Function call is missing a thought_signature in functionCall parts."), error
        # A later turn of the user makes it history, where nothing is asked.
        later = [types.Content(role="model", parts=[types.Part(text="Done.")]), user(types.Part(text="And?"))]
        ask("text", conversation(unsigned, results, *later), **config)
        skip = b"skip_thought_signature_validator"
        ask(scenario, conversation([calls[0].model_copy(update={"thought_signature": skip}), *calls[1:]], results), **config)
        error = raises(
            genai_errors.ClientError, lambda: ask(scenario, conversation(kept, user(*results.parts, *results.parts)))
        )
        assert error.message.startswith("Please ensure that the number of function response parts is equal"), error


def tools():
    loop("tools", ["get_weather", "get_time"])
    forced = types.ToolConfig(
        function_calling_config=types.FunctionCallingConfig(mode="ANY", allowed_function_names=["get_time"])
    )
    declared = [types.Tool(function_declarations=[WEATHER, TIME])]
    whole, _ = ask("text", tools=declared, tool_config=forced, automatic_function_calling=MANUAL)
    equal([call.name for call in whole.function_calls], ["get_time"])
    none = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="NONE"))
    whole, _ = ask("tools", tools=declared, tool_config=none, automatic_function_calling=MANUAL)
    equal(whole.function_calls, None)


def thinking_and_tools():
    loop("think-tools", ["get_weather"])


def chat():
    """The SDK's own loop keeps what has to be kept."""

    def get_weather(city: str) -> str:
        """The weather in a city."""
        return f"Rain in {city}."

    talk = client.chats.create(model="sim-think-tools", config=types.GenerateContentConfig(tools=[get_weather]))
    equal(talk.send_message("How is it in Paris?").text, 'The tools said: {"result":"Rain in value."}')
    again = talk.send_message("And now? [[sim:text]]")
    assert "messages=5" in again.text, again.text


def media():
    contents = [
        types.Part.from_bytes(data=PIXEL, mime_type="image/png"),
        types.Part.from_bytes(data=PDF, mime_type="application/pdf"),
        types.Part.from_uri(file_uri="https://example.com/a.jpg", mime_type="image/jpeg"),
        types.Part(text="What is this?"),
    ]
    whole, chunks = ask("text", contents)
    assert whole.text.endswith("images=2 documents=1)"), whole.text
    equal(words(parts(*chunks)), whole.text)
    kinds = {detail.modality.value for detail in whole.usage_metadata.prompt_tokens_details}
    equal(kinds, {"TEXT", "IMAGE", "DOCUMENT"})


def schemas():
    free = {
        "type": "object",
        "properties": {"name": {"$ref": "#/$defs/name"}, "tags": {"type": "array", "items": {"type": "string"}}},
        "required": ["name", "tags"],
        "additionalProperties": False,
        "$defs": {"name": {"type": "string"}},
    }
    whole, chunks = ask("json", response_mime_type="application/json", response_json_schema=free)
    equal(json.loads(whole.text), {"name": "value", "tags": []})
    equal(words(parts(*chunks)), whole.text)
    whole, chunks = ask("json", response_mime_type="application/json", response_schema=City)
    equal(whole.parsed, City(name="value", people=1))
    equal(City.model_validate_json(words(parts(*chunks))), whole.parsed)
    whole, _ = ask("json", response_mime_type="application/json", response_json_schema=City.model_json_schema())
    equal(City.model_validate_json(whole.text), City(name="value", people=1))


def usage():
    whole, chunks = ask("usage")
    for counted in [whole.usage_metadata, chunks[-1].usage_metadata]:
        equal(counted.prompt_token_count, 1061)
        equal(counted.cached_content_token_count, 700)
        equal(counted.thoughts_token_count, 17)
        equal(counted.total_token_count, 1061 + 17 + counted.candidates_token_count)
        equal([(one.modality.value, one.token_count) for one in counted.cache_tokens_details], [("TEXT", 700)])
    totals = [chunk.usage_metadata.total_token_count for chunk in chunks]
    equal(totals, sorted(totals), "running totals")


def endings():
    reason = types.FinishReason
    declared = {"tools": [types.Tool(function_declarations=[WEATHER])], "automatic_function_calling": MANUAL}
    for scenario, expected, config in [
        ("length", reason.MAX_TOKENS, {}),
        ("text", reason.MAX_TOKENS, {"max_output_tokens": 2}),
        ("length-tools", reason.MAX_TOKENS, declared),
        ("broken-call", reason.MALFORMED_FUNCTION_CALL, declared),
        ("refusal", reason.SAFETY, {}),
        ("empty", reason.STOP, {}),
        ("stop", reason.STOP, {"stop_sequences": ["sequence"]}),
    ]:
        whole, chunks = ask(scenario, **config)
        equal((finish(whole), finish(chunks[-1])), (expected, expected), scenario)
        equal(words(parts(*chunks)), words(parts(whole)), scenario)
        equal(bool(parts(whole)), scenario in ("length", "text", "stop"), scenario)
    whole, chunks = ask("blocked")
    for answer in [whole, chunks[-1]]:
        equal(answer.candidates, None)
        equal(answer.prompt_feedback.block_reason, types.BlockedReason.PROHIBITED_CONTENT)


def grounding():
    whole, chunks = ask("citations", tools=[types.Tool(google_search=types.GoogleSearch())])
    for answer in [whole, chunks[-1]]:
        metadata = answer.candidates[0].grounding_metadata
        equal((metadata.grounding_chunks[0].web.uri, metadata.grounding_chunks[0].web.title), ("https://example.com/sky", "The sky"))
        support = metadata.grounding_supports[0]
        equal((support.segment.text, support.segment.end_index), (whole.text, len(whole.text)))
        equal(support.grounding_chunk_indices, [0])


def counting():
    assert client.models.count_tokens(model="sim-text", contents="Hello").total_tokens > 0


def errors():
    for name, code, status, kind in [
        ("error-400", 400, "INVALID_ARGUMENT", genai_errors.ClientError),
        ("error-400-overflow", 400, "INVALID_ARGUMENT", genai_errors.ClientError),
        ("error-403", 403, "PERMISSION_DENIED", genai_errors.ClientError),
        ("nothing", 404, "NOT_FOUND", genai_errors.ClientError),
        ("error-429", 429, "RESOURCE_EXHAUSTED", genai_errors.ClientError),
        ("error-500", 500, "INTERNAL", genai_errors.ServerError),
        ("error-503", 503, "UNAVAILABLE", genai_errors.ServerError),
    ]:
        model = f"sim-{name}"
        for call in [
            lambda: client.models.generate_content(model=model, contents="Hi"),
            lambda: list(client.models.generate_content_stream(model=model, contents="Hi")),
        ]:
            error = raises(kind, call)
            equal((error.code, error.status), (code, status), name)
    error = raises(genai_errors.ClientError, lambda: ask("error-429"))
    equal(error.details["error"]["details"][0]["retryDelay"], "2s")
    early = raises(
        genai_errors.ServerError, lambda: list(client.models.generate_content_stream(model="sim-error-early", contents="Hi"))
    )
    equal((early.code, early.status), (503, "UNAVAILABLE"))
    wrong = genai.Client(api_key="bad-key", vertexai=False, http_options=types.HttpOptions(base_url=SIMULATOR))
    error = raises(genai_errors.ClientError, lambda: wrong.models.generate_content(model="sim-text", contents="Hi"))
    equal((error.code, error.details["error"]["details"][0]["reason"]), (400, "API_KEY_INVALID"))


def refusals():
    for config, code, said in [
        ({"temperature": 3}, 400, "temperature must be in the range"),
        ({"response_json_schema": {"type": "object"}}, 400, "only allowed with response_mime_type"),
        ({"thinking_config": {"thinking_budget": 1, "thinking_level": "LOW"}}, 400, "You can only set only one"),
        ({"cached_content": "cachedContents/none"}, 403, "CachedContent not found"),
    ]:
        error = raises(genai_errors.ClientError, lambda: ask("text", **config))
        equal(error.code, code)
        assert said in error.message, error.message
    gif = types.Part.from_bytes(data=PIXEL, mime_type="image/gif")
    error = raises(genai_errors.ClientError, lambda: ask("text", [gif]))
    equal(error.message, "Unsupported MIME type: image/gif")
