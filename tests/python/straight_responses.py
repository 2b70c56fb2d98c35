"""The OpenAI SDK straight at the simulator, by responses: whole loops, buffered and streamed."""

import base64
import json

import openai
from common import KEY, SIMULATOR, equal, raises
from pydantic import BaseModel

client = openai.OpenAI(base_url=f"{SIMULATOR}/v1", api_key=KEY, max_retries=0)

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

PDF = base64.b64encode(b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n").decode()

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}

SQL = {"type": "custom", "name": "sql", "format": {"type": "grammar", "syntax": "regex", "definition": "[a-z]+"}}

ASK = [{"role": "user", "content": "What is the weather in Paris and in London?"}]

# Members that the model of a response has and that no answer of this kind has.
ABSENT = {"access_programs", "conversation", "image", "input_transformations", "moderation",
          "prompt_cache_diagnostics", "prompt_cache_options", "tool_usage"}  # fmt: skip


def ask(name, given=ASK, **more):
    """One request in both forms; what they say has to be the same but for ids."""
    options = {"model": f"sim-{name}", "input": given, **more}
    whole = checked(client.responses.create(**options))
    last = None
    with client.responses.stream(**options) as events:
        kinds = []
        for number, event in enumerate(events):
            equal(event.sequence_number, number, "sequence_number")
            kinds.append(event.type)
            if hasattr(event, "response"):
                last = event.response
    equal(kinds[:2], ["response.created", "response.in_progress"])
    equal(kinds[-1], f"response.{whole.status}")
    equal(spoken(checked(last)), spoken(whole), "streamed and buffered")
    return whole


def checked(response):
    """The SDK builds its models without validation; here every type and required member is looked at."""
    data = response.to_dict(mode="json")
    for item in data["output"]:
        item.pop("parsed_arguments", None)
        for part in item.get("content") or []:
            part.pop("parsed", None)
    openai.types.responses.Response.model_validate(data, strict=False)
    missing = set(openai.types.responses.Response.model_fields) - ABSENT - set(data)
    assert not missing, missing
    return response


def spoken(response):
    said = []
    for item in response.output:
        match item.type:
            case "message":
                said += [part.text if part.type == "output_text" else part.refusal for part in item.content]
            case "reasoning":
                said.append([part.text for part in item.summary])
            case "function_call":
                said.append((item.name, item.arguments))
            case "custom_tool_call":
                said.append((item.name, item.input))
    return response.status, said, response.incomplete_details


def text():
    answer = ask("text", "Hello", instructions="Be brief.", metadata={"a": "b"}, max_output_tokens=500)
    assert answer.output_text.startswith("Simulated answer to: Hello"), answer.output_text
    equal((answer.status, answer.instructions, answer.metadata), ("completed", "Be brief.", {"a": "b"}))
    equal(answer.usage.total_tokens, answer.usage.input_tokens + answer.usage.output_tokens)
    history = [*ASK, *answer.output, {"role": "user", "content": "And?"}]
    assert ask("text", history).output_text.startswith("Simulated answer to: And?")
    again = client.responses.create(model="sim-text", input="And?", previous_response_id=answer.id)
    equal(again.previous_response_id, answer.id)
    (message,) = ask("citations").output
    equal(message.content[0].annotations[0].type, "url_citation")
    (message,) = ask("text", include=["message.output_text.logprobs"], top_logprobs=1).output
    assert message.content[0].logprobs[0].token
    equal(ask("empty").output, [])
    assert ask("unicode").output_text.endswith("fin")


def endings():
    for name, reason in [("length", "max_output_tokens"), ("length-tools", "max_output_tokens"), ("filter", "content_filter")]:
        answer = ask(name, tools=[WEATHER])
        equal((answer.status, answer.incomplete_details.reason), ("incomplete", reason), name)
        equal(answer.output[-1].status, "incomplete", name)
    (message,) = ask("refusal").output
    equal((message.content[0].type, message.status), ("refusal", "completed"))
    failed = ask("failed")
    equal((failed.status, failed.error.code), ("failed", "server_error"))


def usage():
    used = ask("usage").usage
    equal(used.input_tokens_details.cached_tokens, 700)
    equal(used.input_tokens_details.cache_write_tokens, 350)
    equal((used.input_tokens, used.output_tokens_details.reasoning_tokens), (1061, 17))


def reasoning():
    more = {"store": False, "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "low", "summary": "auto"}}
    more["tools"] = [WEATHER]
    for name in ["think", "redacted", "interleaved"]:
        answer = ask(name, **more)
        assert answer.output[0].encrypted_content, name
        assert ask(name, [*ASK, *answer.output, {"role": "user", "content": "And?"}], **more).output_text
    for streamed in [False, True]:
        if streamed:
            with client.responses.stream(model="sim-think-tools", input=ASK, **more) as events:
                answer = events.get_final_response()
        else:
            answer = client.responses.create(model="sim-think-tools", input=ASK, **more)
        thought, call = answer.output
        equal(thought.summary[0].text, "A tool will tell.")
        turn = [thought, {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments}]
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "18 C"}
        assert "18 C" in ask("think-tools", [*ASK, *turn, result], **more).output_text
        broken = thought.model_copy(update={"encrypted_content": thought.encrypted_content[:-8]})
        error = raises(openai.BadRequestError, lambda: ask("think-tools", [*ASK, broken, *turn[1:], result], **more))
        equal(error.code, "invalid_encrypted_content")
        bare = {"type": "reasoning", "id": thought.id, "summary": []}
        error = raises(openai.NotFoundError, lambda: ask("think-tools", [*ASK, bare, *turn[1:], result], **more))
        assert "Items are not persisted" in error.message, error.message
    equal(ask("think", reasoning={"effort": "low"}).output[0].summary, [])


def tools():
    """Parallel calls, answered out of order; a free-form tool; choices."""
    answer = ask("tools", tools=[WEATHER])
    calls = answer.output
    equal([call.type for call in calls], ["function_call", "function_call"])
    assert len({call.call_id for call in calls}) == len({call.id for call in calls}) == 2
    equal(json.loads(calls[0].arguments), {"city": "value"})
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "18 C"} for call in reversed(calls)]
    assert "18 C | 18 C" in ask("tools", [*ASK, *calls, *results], tools=[WEATHER]).output_text
    (call,) = ask("tools", tools=[WEATHER], parallel_tool_calls=False).output
    (call,) = ask("text", tools=[WEATHER], tool_choice="required").output
    equal(call.name, "get_weather")
    (call,) = ask("text", tools=[WEATHER, SQL], tool_choice={"type": "custom", "name": "sql"}).output
    equal((call.type, call.name, call.input), ("custom_tool_call", "sql", "value"))
    result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": [{"type": "input_text", "text": "3 rows"}]}
    assert "3 rows" in ask("tools", [*ASK, call, result], tools=[WEATHER, SQL]).output_text


def media():
    parts = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PIXEL}"},
        {"type": "input_image", "detail": "low", "image_url": "https://example.com/cat.png"},
        {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
    ]
    assert "images=2 documents=1" in ask("text", [{"role": "user", "content": parts}]).output_text


def schemas():
    class Answer(BaseModel):
        city: str
        degrees: int

    parsed = client.responses.parse(model="sim-json", input=ASK, text_format=Answer)
    equal(parsed.output_parsed, Answer(city="value", degrees=1))
    with client.responses.stream(model="sim-json", input=ASK, text_format=Answer) as events:
        equal(events.get_final_response().output_parsed, parsed.output_parsed)
    called = client.responses.parse(model="sim-tools", input=ASK, tools=[openai.pydantic_function_tool(Answer)])
    equal(called.output[0].parsed_arguments, Answer(city="value", degrees=1))
    equal(ask("json", "Say JSON", text={"format": {"type": "json_object"}}).output_text, "{}")


ERRORS = {
    "error-400": (400, openai.BadRequestError, None),
    "error-400-overflow": (400, openai.BadRequestError, "context_length_exceeded"),
    "error-401": (401, openai.AuthenticationError, "invalid_api_key"),
    "error-403": (403, openai.PermissionDeniedError, None),
    "error-404": (404, openai.NotFoundError, "model_not_found"),
    "error-429": (429, openai.RateLimitError, "rate_limit_exceeded"),
    "error-429-quota": (429, openai.RateLimitError, "insufficient_quota"),
    "error-500": (500, openai.InternalServerError, None),
    "error-503": (503, openai.InternalServerError, None),
    "nothing": (404, openai.NotFoundError, "model_not_found"),
}


def errors():
    for name, (status, kind, code) in ERRORS.items():
        for stream in [False, True]:
            error = raises(kind, lambda: client.responses.create(model=f"sim-{name}", input="Hello", stream=stream))
            equal((error.status_code, error.code), (status, code), name)
            assert error.message and error.body["type"], error.body
    for name, before in [("error-early", 2), ("error-mid", 4)]:
        events = list(client.responses.create(model=f"sim-{name}", input="Hello", stream=True))
        assert len(events) >= before + 1, name
        equal((events[-1].type, events[-1].code), ("error", "server_error"))
        equal([event.sequence_number for event in events], list(range(len(events))), name)


def refusals():
    cases = [
        ({"extra_body": {"stop": ["x"]}}, "unknown_parameter", "stop"),
        ({"max_output_tokens": 1}, "integer_below_min_value", "max_output_tokens"),
        ({"tools": [{**WEATHER, "name": "a b"}]}, "invalid_value", "tools[0].name"),
        ({"previous_response_id": "resp_1"}, "previous_response_not_found", "previous_response_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": ""}]}, None, "input"),
    ]
    for more, code, param in cases:
        error = raises(openai.BadRequestError, lambda: client.responses.create(**{"model": "m", "input": "Hello", **more}))
        equal((error.code, error.param, error.type), (code, param, "invalid_request_error"))
