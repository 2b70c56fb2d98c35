"""Print one JSON Schema document with a protocol's wire types, read from the provider's official package.

Usage: sdk_schema.py <protocol>

The document has `$defs`, and `x-roots` with the names of the request, response, stream event and error
types. A root may be several types, to be read as one. Names are made from the package's class and module
names, so they stay put when an unrelated class of the same name appears elsewhere.
"""

import importlib
import inspect
import json
import pkgutil
import re
import sys
import types
import typing
from typing import Any, Literal, Union

import pydantic
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import is_typeddict


def camel(snake: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in snake.split("_"))


def type_name(module: str, name: str) -> str:
    """The class name; in front of it the module's, where the class is only a part of that module."""
    parts = module.split(".")
    own = camel(parts[-1])
    name = name.replace("_", "")
    # A class that has a module to itself is known by its own name, whatever its capitals are.
    full = join(own, name) if "types" in parts[:-1] else name
    if "shared_params" in parts and not full.endswith("Param"):
        full += "Param"
    if "beta" in parts and not full.startswith("Beta"):
        full = "Beta" + full
    return full


def join(own: str, name: str) -> str:
    spoken = name.lower().startswith(own.lower()) or name.lower().endswith(own.lower())
    return name if spoken else own + name


class Generator(GenerateJsonSchema):
    """Names definitions by `type_name`."""

    def get_defs_ref(self, core_mode_ref: Any) -> Any:
        defs_ref = super().get_defs_ref(core_mode_ref)
        path = re.sub(r":\d+.*$", "", core_mode_ref[0])
        module, _, name = path.replace(".<locals>", "").rpartition(".")
        choices = self._prioritized_defsref_choices[defs_ref]
        self._prioritized_defsref_choices[defs_ref] = [type_name(module, name), *choices[2:]]
        return defs_ref


def is_union(value: Any) -> bool:
    origin = typing.get_origin(value)
    if origin is typing.Annotated:
        return is_union(typing.get_args(value)[0])
    return origin in (Union, types.UnionType, Literal)


def aliases(packages: list[str], skip: tuple[str, ...]) -> dict[str, Any]:
    """Named unions and literals of the packages: the generator forgets their names."""
    found: dict[str, Any] = {}
    for package in packages:
        root = importlib.import_module(package)
        modules = [package] + [m.name for m in pkgutil.iter_modules(root.__path__, package + ".")]
        for name in sorted(modules):
            if any(part in name for part in skip):
                continue
            module = importlib.import_module(name)
            if not hasattr(module, "__file__") or module.__file__ is None or module.__file__.endswith("__init__.py"):
                continue
            for key, value in vars(module).items():
                if not key.startswith("_") and is_union(value) and re.search(rf"^{key}\b.*=", inspect.getsource(module), re.M):
                    found.setdefault(type_name(name, key), value)
    return found


def document(roots: dict[str, list[Any]], names: dict[str, Any]) -> dict[str, Any]:
    inputs: list[Any] = []
    for root, forms in roots.items():
        for index, form in enumerate(forms):
            inputs.append(((root, index), "validation", TypeAdapter(form)))
    for name, form in names.items():
        inputs.append((("alias", name), "validation", TypeAdapter(form)))
    schemas, shared = TypeAdapter.json_schemas(inputs, schema_generator=Generator)
    defs = dict(shared["$defs"])
    targets: dict[str, list[str]] = {root: [] for root in roots}
    alias_of = {id_of(form): name for name, form in names.items()}
    for root, forms in roots.items():
        for index, form in enumerate(forms):
            schema = schemas[((root, index), "validation")]
            if "$ref" in schema:
                targets[root].append(schema["$ref"])
            else:
                name = alias_of.get(id_of(form), camel(root))
                defs[name] = schema
                targets[root].append(f"#/$defs/{name}")
    used = reachable(defs, [t for ts in targets.values() for t in ts])
    extra = {}
    for name in names:
        schema = schemas[(("alias", name), "validation")]
        if name not in defs and set(refs(schema)) <= used and "$ref" not in schema:
            extra[name] = schema
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "x-roots": targets,
        "x-aliases": strip(extra),
        "$defs": {k: strip(v) for k, v in defs.items() if k in used},
    }


def id_of(form: Any) -> str:
    return repr(form)


def refs(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"].rsplit("/", 1)[1]] if isinstance(value.get("$ref"), str) else []
        return own + [r for v in value.values() for r in refs(v)]
    if isinstance(value, list):
        return [r for v in value for r in refs(v)]
    return []


def reachable(defs: dict[str, Any], roots: list[str]) -> set[str]:
    seen: set[str] = set()
    queue = [r.rsplit("/", 1)[1] for r in roots]
    while queue:
        name = queue.pop()
        if name not in seen:
            seen.add(name)
            queue.extend(refs(defs[name]))
    return seen


# Prose and defaults are not interface facts. The values of `properties` are names, so they are kept.
PROSE = ("title", "description", "default", "examples", "deprecated", "minLength", "maxLength", "minItems", "maxItems")


def strip(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            k: {n: strip(p) for n, p in v.items()} if k == "properties" else strip(v)
            for k, v in value.items()
            if k not in PROSE
        }
    if isinstance(value, list):
        return [strip(v) for v in value]
    return value


def openai_chat() -> dict[str, Any]:
    from openai.types.chat import ChatCompletion, ChatCompletionChunk
    from openai.types.chat import completion_create_params as params
    from openai.types.shared import ErrorObject

    class ErrorResponse(BaseModel):
        error: ErrorObject

    return document(
        {
            "request": [params.CompletionCreateParamsNonStreaming, params.CompletionCreateParamsStreaming],
            "response": [ChatCompletion],
            "stream": [ChatCompletionChunk],
            "error": [ErrorResponse],
        },
        aliases(["openai.types.chat", "openai.types.shared_params", "openai.types.shared"], ("parsed_", "completions")),
    )


def openai_responses() -> dict[str, Any]:
    from openai.types.responses import Response, response_create_params as params
    from openai.types.responses.response_stream_event import ResponseStreamEvent
    from openai.types.shared import ErrorObject

    class ErrorResponse(BaseModel):
        error: ErrorObject

    return document(
        {
            "request": [params.ResponseCreateParamsNonStreaming, params.ResponseCreateParamsStreaming],
            "response": [Response],
            "stream": [ResponseStreamEvent],
            "error": [ErrorResponse],
        },
        aliases(
            ["openai.types.responses", "openai.types.shared_params", "openai.types.shared"],
            ("parsed_", "responses_client", "responses_server", "input_token"),
        ),
    )


def anthropic() -> dict[str, Any]:
    import anthropic.types as stable
    import anthropic.types.beta as beta
    from anthropic.types import message_create_params as stable_params
    from anthropic.types.beta import message_create_params as beta_params
    from anthropic.types.shared import ErrorResponse

    errors = [ErrorResponse]
    with_id = getattr(importlib.import_module("anthropic.types"), "BetaErrorResponse", None)
    if with_id is not None:
        errors.append(with_id)
    return document(
        {
            "request": [
                stable_params.MessageCreateParamsNonStreaming,
                stable_params.MessageCreateParamsStreaming,
                beta_params.MessageCreateParamsNonStreaming,
                beta_params.MessageCreateParamsStreaming,
            ],
            "response": [stable.Message, beta.BetaMessage],
            "stream": [stable.RawMessageStreamEvent, beta.BetaRawMessageStreamEvent],
            "error": errors,
        },
        aliases(["anthropic.types", "anthropic.types.beta"], ("parsed_", "batch", "count_tokens", "analytics")),
    )


def cohere() -> dict[str, Any]:
    from cohere.v2.raw_client import RawV2Client
    from cohere.v2.types.v2chat_response import V2ChatResponse
    from cohere.v2.types.v2chat_stream_response import V2ChatStreamResponse

    class ErrorBody(BaseModel):
        message: str | None = None
        id: str | None = None

    bodies = [body_of(name, method) for name, method in (("ChatRequest", RawV2Client.chat), ("ChatRequestStream", RawV2Client.chat_stream))]
    out = document(
        {"request": bodies, "response": [V2ChatResponse], "stream": [V2ChatStreamResponse], "error": [ErrorBody]},
        aliases(["cohere.types", "cohere.v2.types"], ("embed", "rerank", "classify", "connector", "dataset", "tokenize")),
    )
    return absent_not_null(out)


def body_of(name: str, method: Any) -> Any:
    """A model of what a client method puts into the body: its parameters, but for the client's own options."""
    hints = typing.get_type_hints(method)
    fields: dict[str, Any] = {"stream": (bool | None, None)}
    for parameter in inspect.signature(method).parameters.values():
        if parameter.name not in ("self", "request_options"):
            default = ... if parameter.default is inspect.Parameter.empty else None
            fields[parameter.name] = (hints[parameter.name], default)
    return pydantic.create_model(name, **fields)


def absent_not_null(value: Any) -> Any:
    """Takes null out of members that may be absent: this package's models cannot tell the two apart."""
    if isinstance(value, list):
        return [absent_not_null(v) for v in value]
    if not isinstance(value, dict):
        return value
    value = {k: absent_not_null(v) for k, v in value.items()}
    # "One of these, or anything" is how the package writes an open enum.
    if {} in value.get("anyOf", []) and any("enum" in a for a in value["anyOf"]):
        value["anyOf"] = [a or {"type": "string"} for a in value["anyOf"]]
    for name, prop in value.get("properties", {}).items():
        # A constant has a default for the caller's comfort; on the wire it is always there.
        if "const" in prop and name not in value.get("required", []):
            value["required"] = [*value.get("required", []), name]
        alternatives = prop.get("anyOf")
        if alternatives and name not in value.get("required", []):
            rest = [a for a in alternatives if a != {"type": "null"}]
            value["properties"][name] = rest[0] if len(rest) == 1 else {**prop, "anyOf": rest}
    return value


PROTOCOLS = {"openai_chat": openai_chat, "openai_responses": openai_responses, "anthropic": anthropic, "cohere": cohere}


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1] not in PROTOCOLS:
        sys.exit(f"usage: sdk_schema.py {'|'.join(PROTOCOLS)}")
    json.dump(PROTOCOLS[sys.argv[1]](), sys.stdout, indent=1, sort_keys=True)
    print()


if __name__ == "__main__":
    main()
