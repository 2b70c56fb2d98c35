"""The OpenAI SDK, responses; the history is kept by the caller, so reasoning comes encrypted."""

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import httpx
import openai
from openai.types.responses import Response

from .client import Answer, Broken, Call, Client, Expected, Failure, Request, Usage, finish
from .openai_chat import ERRORS, connect, data_url, failure

INCOMPLETE = {"max_output_tokens": "length", "content_filter": "refusal"}


class OpenaiResponses(Client):
    """Responses."""

    unsupported: ClassVar[dict[str, str]] = {"stop": "the protocol has no stop sequences"}
    raised = (openai.APIError, httpx.HTTPError, Broken)
    errors: ClassVar[dict[str, Expected]] = ERRORS

    def __init__(self) -> None:
        self._client = connect()

    def user(self, text: str, image: bytes | None = None, pdf: bytes | None = None) -> list[Any]:
        parts: list[dict[str, Any]] = []
        if image:
            parts.append({"type": "input_image", "detail": "auto", "image_url": data_url("image/png", image)})
        if pdf:
            file = data_url("application/pdf", pdf)
            parts.append({"type": "input_file", "filename": "paper.pdf", "file_data": file})
        content = [*parts, {"type": "input_text", "text": text}] if parts else text
        return [{"role": "user", "content": content}]

    def results(self, results: Sequence[tuple[Call, str]]) -> list[Any]:
        return [{"type": "function_call_output", "call_id": call.id, "output": text} for call, text in results]

    def ask(self, request: Request) -> Answer:
        options: dict[str, Any] = {
            "model": request.model,
            "input": request.turns,
            "max_output_tokens": request.limit,
            "store": False,
        }
        if request.system:
            options["instructions"] = request.system
        if request.tools:
            options["tools"] = [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.schema,
                    "strict": False,
                }
                for tool in request.tools
            ]
        if request.choice in ("auto", "required", "none"):
            options["tool_choice"] = request.choice
        elif request.choice:
            options["tool_choice"] = {"type": "function", "name": request.choice}
        if request.schema:
            schema = {"type": "json_schema", "name": "answer", "strict": True, "schema": request.schema}
            options["text"] = {"format": schema}
        if request.thinking:
            options["reasoning"] = {"effort": "medium", "summary": "auto"}
            options["include"] = ["reasoning.encrypted_content"]
        if not request.stream:
            return read(self._client.responses.create(**options))
        final = None
        text = ""
        with self._client.responses.stream(**options) as events:
            for event in events:
                if event.type in ("error", "response.failed"):
                    raise Broken(event)
                if event.type in ("response.output_text.delta", "response.refusal.delta"):
                    text += event.delta
                if event.type in ("response.completed", "response.incomplete"):
                    assert final is None, "two ends"
                    final = event.response
        assert final is not None, "the stream is cut and nothing says so"
        answer = read(final)
        assert text == answer.text, f"the pieces make {text!r}, the whole is {answer.text!r}"
        return answer

    def failure(self, error: Exception) -> Failure:
        return failure(error)


def read(response: Response) -> Answer:
    """Reads a response, and keeps its items as the turn."""
    assert response.error is None, response.error
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    refusals = [part.refusal for part in parts if part.type == "refusal"]
    calls = [
        Call(item.call_id, item.name, json.loads(item.arguments))
        for item in response.output
        if item.type == "function_call"
    ]
    thoughts = [
        part.text
        for item in response.output
        if item.type == "reasoning"
        for part in [*item.summary, *(item.content or [])]
    ]
    if response.status == "incomplete":
        assert response.incomplete_details is not None, "incomplete, but no word why"
        why = finish(INCOMPLETE, response.incomplete_details.reason)
    else:
        assert response.status == "completed", response.status
        why = "calls" if calls else "refusal" if refusals else "stop"
    usage = response.usage
    assert usage is not None, "no usage"
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens, usage
    return Answer(
        text="".join(part.text if part.type == "output_text" else part.refusal for part in parts),
        reasoning="".join(thoughts),
        calls=calls,
        finish=why,
        usage=Usage(
            usage.input_tokens,
            usage.output_tokens,
            usage.input_tokens_details.cached_tokens,
            getattr(usage.input_tokens_details, "cache_write_tokens", None),
            usage.output_tokens_details.reasoning_tokens,
        ),
        turn=list(response.output),
        plain=[item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in response.output],
    )
