"""Print one document with a protocol's wire types, read from the provider's official package.

Usage: sdk_schema.py <protocol>

For most protocols it is a JSON Schema with `$defs`, and `x-roots` with the names of the request, response,
stream event and error types (a root may be several types, to be read as one), and `x-aliases` with the names
that the package has for unions. For gemini it is a set of descriptors, and beside it such a JSON Schema of a
second package; for bedrock the service model that the package carries. Names are made from class and module
names, so they stay put when an unrelated class of the same name appears elsewhere.
"""

import gzip
import importlib
import inspect
import json
import pathlib
import pkgutil
import re
import sys
import types
import typing
from typing import Any, Literal, Union

import pydantic
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema


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
    queue = [r.rsplit("/", 1)[-1] for r in roots]
    while queue:
        name = queue.pop()
        if name not in seen:
            seen.add(name)
            queue.extend(refs(defs[name]))
    return seen


# Prose and defaults are not interface facts.
PROSE = ("title", "description", "default", "examples", "deprecated", "minLength", "maxLength", "minItems", "maxItems")


def strip(schema: Any) -> Any:
    schema = inside(schema, strip)
    if isinstance(schema, dict):
        return {k: v for k, v in schema.items() if k not in PROSE}
    return schema


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
        aliases(["anthropic.types", "anthropic.types.shared", "anthropic.types.beta"], ("parsed_", "batch", "count_tokens", "analytics")),
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


def absent_not_null(schema: Any) -> Any:
    """Takes null out of members that may be absent: this package's models cannot tell the two apart."""
    schema = inside(schema, absent_not_null)
    if not isinstance(schema, dict):
        return schema
    # "One of these, or anything" is how the package writes an open enum.
    if {} in schema.get("anyOf", []) and any("enum" in a for a in schema["anyOf"]):
        schema["anyOf"] = [a or {"type": "string"} for a in schema["anyOf"]]
    required = set(schema.get("required", []))
    for name, prop in schema.get("properties", {}).items():
        # A constant has a default for the caller's comfort; on the wire it is always there.
        if "const" in prop:
            required.add(name)
        alternatives = prop.get("anyOf")
        if alternatives and name not in required:
            rest = [a for a in alternatives if a != {"type": "null"}]
            schema["properties"][name] = rest[0] if len(rest) == 1 else {**prop, "anyOf": rest}
    if required:
        schema["required"] = sorted(required)
    return schema


def inside(schema: Any, edit: Any) -> Any:
    """The schema with `edit` applied to the schemas inside it. The keys of `properties` and `$defs` are names."""
    if isinstance(schema, list):
        return [edit(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    return {k: {n: edit(s) for n, s in v.items()} if k in ("properties", "$defs") else edit(v) for k, v in schema.items()}


def gemini() -> dict[str, Any]:
    """The descriptors of one package, and beside them what the other one knows beyond these."""
    from google.ai.generativelanguage_v1beta.types import generative_service
    from google.protobuf import descriptor_pb2
    from google.protobuf.json_format import MessageToDict

    files: dict[str, Any] = {}
    queue = [generative_service.GenerateContentRequest.pb().DESCRIPTOR.file]
    while queue:
        file = queue.pop()
        if file.name not in files:
            proto = descriptor_pb2.FileDescriptorProto()
            file.CopyToProto(proto)
            # Services and their options name types of no interest here.
            proto.ClearField("service")
            files[file.name] = MessageToDict(proto)
            queue.extend(file.dependencies)
    return {"file": [files[name] for name in sorted(files)], "x-second": genai()}


def genai() -> dict[str, Any]:
    from google.genai import models
    from google.genai import types as t

    # The converters to the Gemini API say which of the options are sent, and whether inside generationConfig.
    source = inspect.getsource(models._GenerateContentConfig_to_mldev)
    inner = set(re.findall(r"setv\(\s*to_object,\s*\['(\w+)'\]", source))
    outer = set(re.findall(r"setv\(\s*parent_object,\s*\['(\w+)'\]", source))
    fields: dict[str, Any] = {}
    # What the options are called after conversion, and what they are: the wire's own class goes first, since the
    # options' class also takes the caller's conveniences.
    for owner in (t.GenerationConfig, t.GenerateContentConfig):
        for name, info in owner.model_fields.items():
            fields.setdefault(info.alias or name, info.annotation)
    fields.update(systemInstruction=t.Content | None, tools=list[t.Tool] | None)

    def members(names: set[str]) -> dict[str, Any]:
        return {name: (fields[name], None) for name in sorted(names) if name in fields}

    known = {info.alias or name for name, info in t.GenerationConfig.model_fields.items()}
    config = pydantic.create_model("GenerationConfig", __base__=t.GenerationConfig, **members(inner - known))
    own = {"contents": (list[t.Content] | None, None), "generationConfig": (config | None, None)}
    request = pydantic.create_model("GenerateContentRequest", **members(outer), **own)
    inputs = [("q", "validation", TypeAdapter(request)), ("r", "validation", TypeAdapter(t.GenerateContentResponse))]
    _, shared = TypeAdapter.json_schemas(inputs)
    defs = {name: gemini_only(schema) for name, schema in shared["$defs"].items()}
    # The converters refuse what only the sibling API takes.
    for owner, body in re.findall(r"^def _(\w+)_to_mldev\((.*?)(?=^def |\Z)", inspect.getsource(models), re.M | re.S):
        refused = re.findall(r"getv\(from_object, \['(\w+)'\]\) is not None:\s*raise ValueError", body)
        for name in refused:
            camel_name = name.split("_")[0] + camel("_".join(name.split("_")[1:]))
            defs.get(owner, {}).get("properties", {}).pop(camel_name, None)
    roots = {"request": "GenerateContentRequest", "response": "GenerateContentResponse", "stream": "GenerateContentResponse"}
    used = reachable(defs, list(roots.values()))
    return absent_not_null({"x-roots": {**roots, "error": []}, "$defs": {k: strip(v) for k, v in defs.items() if k in used}})


def gemini_only(schema: Any) -> Any:
    """Leaves out members that the package's documentation says this API does not take."""
    schema = inside(schema, gemini_only)
    if isinstance(schema, dict) and "properties" in schema:
        taken = {n: p for n, p in schema["properties"].items() if not re.search(NOT_TAKEN, p.get("description", ""))}
        schema["properties"] = taken
    return schema


# How the package's documentation says so.
NOT_TAKEN = r"not supported in (the )?Gemini (Developer )?API"


def bedrock() -> dict[str, Any]:
    import botocore

    models = pathlib.Path(botocore.__file__).parent / "data" / "bedrock-runtime"
    newest = sorted(models.iterdir())[-1]
    return json.loads(gzip.decompress((newest / "service-2.json.gz").read_bytes()))


PROTOCOLS = {
    "openai_chat": openai_chat,
    "openai_responses": openai_responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "bedrock": bedrock,
    "cohere": cohere,
}


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1] not in PROTOCOLS:
        sys.exit(f"usage: sdk_schema.py {'|'.join(PROTOCOLS)}")
    json.dump(PROTOCOLS[sys.argv[1]](), sys.stdout, indent=1, sort_keys=True)
    print()


if __name__ == "__main__":
    main()
