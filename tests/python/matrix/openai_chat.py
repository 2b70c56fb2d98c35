"""The OpenAI SDK, chat completions."""

import base64
import json
from collections.abc import Sequence
from typing import Any, ClassVar

import httpx
import openai
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionMessage

from .client import KEY, TIMEOUT, URL, Answer, Call, Client, Expected, Failure, Request, Usage, finish

FINISH = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "calls",
    "content_filter": "refusal",
}

# What the SDK adds to a streamed message for its reader, and no provider takes.
PARSED = {"parsed": True, "tool_calls": {"__all__": {"index": True, "function": {"parsed_arguments"}}}}

ERRORS = {
    "invalid": Expected(openai.BadRequestError, [400]),
    "key": Expected(openai.AuthenticationError, [401]),
    "permission": Expected(openai.PermissionDeniedError, [403]),
    "missing": Expected(openai.NotFoundError, [404]),
    "rate": Expected(openai.RateLimitError, [429], "rate_limit_exceeded"),
    "server": Expected(openai.InternalServerError, [500]),
    "overloaded": Expected(openai.InternalServerError, [503, 529]),
    "overflow": Expected(openai.BadRequestError, [400], "context_length_exceeded"),
}


def failure(error: Exception) -> Failure:
    """Reads an error of the SDK."""
    assert isinstance(error, openai.APIStatusError)
    return Failure(error.status_code, error.code, error.message, dict(error.response.headers))


def connect() -> openai.OpenAI:
    """The client of both protocols."""
    return openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=TIMEOUT)


def data_url(kind: str, data: bytes) -> str:
    """Bytes in the place of an address."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


class OpenaiChat(Client):
    """Chat completions."""

    raised = (openai.APIError, httpx.HTTPError)
    errors: ClassVar[dict[str, Expected]] = ERRORS

    def __init__(self) -> None:
        self._client = connect()

    def user(self, text: str, image: bytes | None = None, pdf: bytes | None = None) -> list[Any]:
        parts: list[dict[str, Any]] = []
        if image:
            parts.append({"type": "image_url", "image_url": {"url": data_url("image/png", image)}})
        if pdf:
            file = {"filename": "paper.pdf", "file_data": data_url("application/pdf", pdf)}
            parts.append({"type": "file", "file": file})
        content = [*parts, {"type": "text", "text": text}] if parts else text
        return [{"role": "user", "content": content}]

    def results(self, results: Sequence[tuple[Call, str]]) -> list[Any]:
        return [{"role": "tool", "tool_call_id": call.id, "content": text} for call, text in results]

    def ask(self, request: Request) -> Answer:
        system = [{"role": "system", "content": request.system}] if request.system else []
        options: dict[str, Any] = {
            "model": request.model,
            "messages": [*system, *request.turns],
            "max_completion_tokens": request.limit,
        }
        if request.tools:
            options["tools"] = [
                {
                    "type": "function",
                    "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema},
                }
                for tool in request.tools
            ]
        if request.choice in ("auto", "required", "none"):
            options["tool_choice"] = request.choice
        elif request.choice:
            options["tool_choice"] = {"type": "function", "function": {"name": request.choice}}
        if request.schema:
            schema = {"name": "answer", "strict": True, "schema": request.schema}
            options["response_format"] = {"type": "json_schema", "json_schema": schema}
        if request.thinking:
            options["reasoning_effort"] = "medium"
        if request.stop:
            options["stop"] = list(request.stop)
        if not request.stream:
            return read(self._client.chat.completions.create(**options))
        # The SDK's accumulator; its last step would parse, and raises at an answer that the limit cut.
        state = ChatCompletionStreamState()
        with self._client.chat.completions.create(
            **options, stream=True, stream_options={"include_usage": True}
        ) as chunks:
            for chunk in chunks:
                state.handle_chunk(chunk)
        return read(state.current_completion_snapshot)

    def failure(self, error: Exception) -> Failure:
        return failure(error)


def read(completion: ChatCompletion) -> Answer:
    """Reads a completion, and keeps its message as the turn."""
    choice = completion.choices[0]
    message = choice.message
    usage = completion.usage
    assert usage is not None, "no usage"
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage
    prompt, output = usage.prompt_tokens_details, usage.completion_tokens_details
    return Answer(
        text=message.content or message.refusal or "",
        reasoning=getattr(message, "reasoning_content", None) or "",
        calls=[
            Call(call.id, call.function.name, json.loads(call.function.arguments))
            for call in message.tool_calls or []
            if call.type == "function"
        ],
        finish="refusal" if message.refusal else finish(FINISH, choice.finish_reason),
        usage=Usage(
            usage.prompt_tokens,
            usage.completion_tokens,
            prompt.cached_tokens if prompt else None,
            getattr(prompt, "cache_write_tokens", None),
            output.reasoning_tokens if output else None,
        ),
        turn=[message.model_dump(exclude_none=True, exclude=PARSED)],
        plain=[{"role": "assistant", "content": message.content, "tool_calls": plain_calls(message)}],
    )


def plain_calls(message: ChatCompletionMessage) -> list[dict[str, Any]]:
    """The calls with their documented members alone, which is all that most programs keep of a stream."""
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.function.name, "arguments": call.function.arguments},
        }
        for call in message.tool_calls or []
        if call.type == "function"
    ]
