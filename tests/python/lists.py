"""What the gateway serves, as every SDK lists it."""

import anthropic
import boto3
import cohere
import openai
from botocore.exceptions import ClientError
from common import KEY, URL, equal, raises, scenario
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

# A name with what has to be escaped in a path.
ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.vendor.model-v1:0"

NAMES = [scenario(protocol, "text") for protocol in
         ["openai_chat", "openai_responses", "anthropic", "gemini", "bedrock", "cohere"]] + [ARN]

aws = boto3.client(
    "bedrock", endpoint_url=URL, region_name="us-east-1",
    aws_access_key_id="AKIATEST", aws_secret_access_key="secret",
)


def complete(listed):
    """All that is served, each once."""
    listed = list(listed)
    equal(sorted(set(listed)), sorted(listed), "names")
    missing = [name for name in NAMES if name not in listed]
    equal(missing, [], "missing")
    return listed


def openai_models():
    client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
    models = list(client.models.list())
    complete(model.id for model in models)
    equal({model.object for model in models}, {"model"})
    for name in NAMES:
        model = client.models.retrieve(name)
        equal(model.id, name)
        assert isinstance(model.created, int) and model.owned_by, model
    error = raises(openai.NotFoundError, lambda: client.models.retrieve("nobody"))
    equal(error.code, "model_not_found")


def anthropic_models():
    client = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0)
    everything = complete(model.id for model in client.models.list(limit=1000))
    # Page by page, forwards and backwards.
    equal([model.id for model in client.models.list(limit=7)], everything)
    back = client.models.list(limit=7, before_id=everything[-1])
    equal([model.id for model in back.data], everything[-8:-1])
    for name in NAMES:
        model = client.models.retrieve(name)
        equal((model.id, model.type, model.lifecycle), (name, "model", "active"))
        assert model.display_name and model.created_at.year == 1970, model
    raises(anthropic.NotFoundError, lambda: client.models.retrieve("nobody"))


def gemini_models():
    for version in [None, "v1"]:
        options = types.HttpOptions(base_url=URL, api_version=version)
        client = genai.Client(api_key=KEY, vertexai=False, http_options=options)
        everything = complete(model.name.removeprefix("models/") for model in client.models.list())
        paged = client.models.list(config={"page_size": 7})
        equal([model.name.removeprefix("models/") for model in paged], everything)
        for name in NAMES:
            model = client.models.get(model=name)
            equal(model.name, f"models/{name}")
            assert "generateContent" in model.supported_actions, model
        error = raises(genai_errors.ClientError, lambda: client.models.get(model="nobody"))
        equal((error.code, error.status), (404, "NOT_FOUND"))


def cohere_models():
    client = cohere.ClientV2(api_key=KEY, base_url=URL)
    listed, token = [], None
    while True:
        page = client.models.list(page_size=7, page_token=token, endpoint="chat")
        listed += [model.name for model in page.models]
        token = page.next_page_token
        if not token:
            break
    complete(listed)
    for name in NAMES:
        model = client.models.get(name)
        equal((model.name, model.endpoints), (name, ["chat"]))
    raises(cohere.NotFoundError, lambda: client.models.get("nobody", request_options={"max_retries": 0}))


def bedrock_models():
    models = aws.list_foundation_models()["modelSummaries"]
    complete(model["modelId"] for model in models)
    only = aws.list_foundation_models(byProvider="bedrock", byOutputModality="TEXT")["modelSummaries"]
    equal({model["providerName"] for model in only}, {"bedrock"})
    for name in NAMES:
        model = aws.get_foundation_model(modelIdentifier=name)["modelDetails"]
        equal((model["modelId"], model["modelLifecycle"]["status"]), (name, "ACTIVE"))
    profiles = aws.get_paginator("list_inference_profiles").paginate(PaginationConfig={"PageSize": 7})
    complete(profile["inferenceProfileId"] for page in profiles for profile in page["inferenceProfileSummaries"])
    equal(aws.get_inference_profile(inferenceProfileIdentifier=NAMES[0])["status"], "ACTIVE")
    error = raises(aws.exceptions.ResourceNotFoundException,
                   lambda: aws.get_foundation_model(modelIdentifier="nobody"))
    assert isinstance(error, ClientError), error
