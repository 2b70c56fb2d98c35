"""The Google SDK."""

from collections.abc import Sequence
from typing import Any, ClassVar

import httpx2
from google import genai
from google.genai import errors, types

from .client import (
    KEY,
    THINKING_BUDGET,
    TIMEOUT,
    URL,
    Answer,
    Call,
    Client,
    Expected,
    Failure,
    Request,
    Usage,
    finish,
)

FINISH = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "refusal",
    "PROHIBITED_CONTENT": "refusal",
    "BLOCKLIST": "refusal",
}

MODES = {"auto": "AUTO", "required": "ANY", "none": "NONE"}


class Gemini(Client):
    """Generate content."""

    raised = (errors.APIError, httpx2.HTTPError)
    errors: ClassVar[dict[str, Expected]] = {
        "invalid": Expected(errors.ClientError, [400], "INVALID_ARGUMENT"),
        "key": Expected(errors.ClientError, [401], "UNAUTHENTICATED"),
        "permission": Expected(errors.ClientError, [403], "PERMISSION_DENIED"),
        "missing": Expected(errors.ClientError, [404], "NOT_FOUND"),
        "rate": Expected(errors.ClientError, [429], "RESOURCE_EXHAUSTED"),
        "server": Expected(errors.ServerError, [500], "INTERNAL"),
        "overloaded": Expected(errors.ServerError, [503], "UNAVAILABLE"),
        "overflow": Expected(errors.ClientError, [400], "INVALID_ARGUMENT", "exceeds the maximum number of tokens"),
    }

    def __init__(self) -> None:
        options = types.HttpOptions(base_url=URL, timeout=TIMEOUT * 1000)
        self._client = genai.Client(api_key=KEY, vertexai=False, http_options=options)

    def user(self, text: str, image: bytes | None = None, pdf: bytes | None = None) -> list[Any]:
        parts = []
        if image:
            parts.append(types.Part.from_bytes(data=image, mime_type="image/png"))
        if pdf:
            parts.append(types.Part.from_bytes(data=pdf, mime_type="application/pdf"))
        return [types.Content(role="user", parts=[*parts, types.Part(text=text)])]

    def results(self, results: Sequence[tuple[Call, str]]) -> list[Any]:
        parts = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id or None, name=call.name, response={"output": text}
                )
            )
            for call, text in results
        ]
        return [types.Content(role="user", parts=parts)]

    def ask(self, request: Request) -> Answer:
        config = types.GenerateContentConfig(
            max_output_tokens=request.limit,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )
        if request.system:
            config.system_instruction = request.system
        if request.tools:
            functions = [
                types.FunctionDeclaration(
                    name=tool.name, description=tool.description, parameters_json_schema=tool.schema
                )
                for tool in request.tools
            ]
            config.tools = [types.Tool(function_declarations=functions)]
        if request.choice:
            calling = types.FunctionCallingConfig(mode=MODES.get(request.choice, "ANY"))
            if request.choice not in MODES:
                calling.allowed_function_names = [request.choice]
            config.tool_config = types.ToolConfig(function_calling_config=calling)
        if request.schema:
            config.response_mime_type = "application/json"
            config.response_json_schema = request.schema
        if request.thinking:
            config.thinking_config = types.ThinkingConfig(include_thoughts=True, thinking_budget=THINKING_BUDGET)
        if request.stop:
            config.stop_sequences = list(request.stop)
        options = {"model": request.model, "contents": request.turns, "config": config}
        if request.stream:
            return read(list(self._client.models.generate_content_stream(**options)))
        return read([self._client.models.generate_content(**options)])

    def failure(self, error: Exception) -> Failure:
        assert isinstance(error, errors.APIError)
        return Failure(error.code, error.status, error.message or "", dict(error.response.headers))


def read(chunks: list[types.GenerateContentResponse]) -> Answer:
    """Reads an answer, whole or in chunks, and keeps all its parts as one turn."""
    parts: list[types.Part] = []
    reason = usage = None
    for chunk in chunks:
        usage = chunk.usage_metadata or usage
        for candidate in chunk.candidates or []:
            assert reason is None or not (candidate.content and candidate.content.parts), "parts after the end"
            parts.extend((candidate.content and candidate.content.parts) or [])
            reason = candidate.finish_reason or reason
    assert usage is not None, "no usage"
    calls = [
        Call(part.function_call.id or "", part.function_call.name, part.function_call.args or {})
        for part in parts
        if part.function_call
    ]
    why = finish(FINISH, reason and reason.value)
    prompt, output = usage.prompt_token_count or 0, usage.candidates_token_count or 0
    thoughts = usage.thoughts_token_count or 0
    assert usage.total_token_count == prompt + output + thoughts, usage
    return Answer(
        text="".join(part.text or "" for part in parts if not part.thought),
        reasoning="".join(part.text or "" for part in parts if part.thought),
        calls=calls,
        finish="calls" if calls and why == "stop" else why,
        usage=Usage(prompt, output + thoughts, usage.cached_content_token_count, None, thoughts),
        turn=[types.Content(role="model", parts=parts)] if parts else [],
        # As the SDK's own chat does: the content of every chunk as a turn.
        plain=[
            candidate.content
            for chunk in chunks
            for candidate in chunk.candidates or []
            if candidate.content and candidate.content.parts
        ],
    )
