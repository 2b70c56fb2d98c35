"""Calls beside generation, by the SDKs that have them; the provider is a script that answers by path.

It embeds a text as its length and the number of its letters `a`, in the form of its API.
"""

import base64
import json

import boto3
import cohere
import openai
from botocore.config import Config
from common import KEY, URL, equal, raises
from google import genai
from google.genai import types

gpt = openai.OpenAI(api_key=KEY, base_url=f"{URL}/v1", max_retries=0)
gemini = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=URL))
command = cohere.ClientV2(api_key=KEY, base_url=URL)

BACKENDS = ["openai-chat-model", "gemini-model", "cohere-model"]
TEXTS = ["banana", "aa"]
VECTORS = [[6.0, 3.0], [2.0, 2.0]]


def openai_embeddings():
    for model in BACKENDS:
        answer = gpt.embeddings.create(model=model, input=TEXTS)
        equal([one.embedding for one in answer.data], VECTORS, model)
        equal([one.index for one in answer.data], [0, 1], model)
        equal(answer.usage.prompt_tokens, 8, model)
        # Whatever the backend, numbers and their packed form are the same.
        packed = gpt.embeddings.create(model=model, input=TEXTS[0], encoding_format="base64", dimensions=2)
        plain = gpt.embeddings.create(model=model, input=TEXTS[0], encoding_format="float", dimensions=2)
        assert len(base64.b64decode(packed.data[0].embedding)) == 8, model
        equal(plain.data[0].embedding, VECTORS[0], model)
    error = raises(openai.BadRequestError, lambda: gpt.embeddings.create(model="cohere-model", input=[1, 2]))
    equal(error.param, "input")
    error = raises(openai.NotFoundError, lambda: gpt.embeddings.create(model="anthropic-model", input="a"))
    assert "would serve it" in str(error), error


def gemini_embeddings():
    for model in BACKENDS:
        config = types.EmbedContentConfig(task_type="RETRIEVAL_QUERY", output_dimensionality=2)
        # Of plain texts the SDK makes one content for some names of models, and one each for others.
        contents = [types.Content(parts=[types.Part(text=text)]) for text in TEXTS]
        answer = gemini.models.embed_content(model=model, contents=contents, config=config)
        equal([one.values for one in answer.embeddings], VECTORS, model)
        answer = gemini.models.embed_content(model=model, contents=TEXTS[0])
        equal([one.values for one in answer.embeddings], VECTORS[:1], model)


def cohere_embeddings():
    for model in BACKENDS:
        answer = command.embed(model=model, texts=TEXTS, input_type="search_query", embedding_types=["float"])
        equal(answer.embeddings.float_, VECTORS, model)
        equal(answer.meta.billed_units.input_tokens, 8, model)
    error = raises(
        cohere.BadRequestError,
        lambda: command.embed(
            model="gemini-model",
            texts=TEXTS,
            input_type="search_query",
            embedding_types=["int8"],
            request_options={"max_retries": 0},
        ),
    )
    assert "embedding_types" in str(error) and "cohere-model" in str(error), error


def cohere_rerank():
    answer = command.rerank(model="cohere-model", query="q", documents=TEXTS)
    equal([one.index for one in answer.results], [1, 0])


def openai_beside():
    equal(gpt.moderations.create(model="openai-chat-model", input="a").results[0].flagged, False)
    equal(gpt.completions.create(model="openai-chat-model", prompt="a").choices[0].text, "b")
    chunks = gpt.completions.create(model="openai-chat-model", prompt="a", stream=True)
    equal("".join(chunk.choices[0].text for chunk in chunks), "bc")
    sound = gpt.audio.speech.create(model="openai-chat-model", input="a", voice="alloy")
    equal(sound.content, b"ID3\x00\xff")
    equal(gpt.images.generate(model="openai-chat-model", prompt="a").data[0].b64_json, "QUJD")


def bedrock_invoke():
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=URL,
        aws_access_key_id=KEY,
        aws_secret_access_key="none",
        config=Config(retries={"max_attempts": 0}),
    )
    answer = client.invoke_model(modelId="bedrock-model", body=json.dumps({"inputText": "a"}))
    equal(json.loads(answer["body"].read()), {"embedding": [0.5]})
