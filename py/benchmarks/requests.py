"""What applications ask: long conversations, many tools, media, and what must not be logged."""

import base64
from collections.abc import Callable
from typing import Any

import httpx2
from mistralai.client.errors import SDKError


_TEXT = "The brightest of the eighty cones might be the Puy de Dôme, 1,465 metres high and eleven thousand years old. "
_SIGNED = "https://files.example.org/cones/{0:03}.png?X-Amz-Expires=900&X-Amz-Signature={0:064x} and "
_KEY = "sk-0a53f1e68c4b4d7e9f25"


def text(length: int) -> str:
    """Return a text of about so many characters."""
    return _TEXT * (length // len(_TEXT))


def messages(count: int) -> list[dict[str, Any]]:
    """Return a chat of so many messages, questions and answers in turn."""
    return [
        {"role": "assistant" if number % 2 else "user", "content": f"{number}: {_TEXT}"} for number in range(count)
    ]


def entries(count: int) -> list[dict[str, Any]]:
    """Return the same as the entries of a conversation."""
    return [
        {"object": "entry", "type": "message.output" if message["role"] == "assistant" else "message.input", **message}
        for message in messages(count)
    ]


def tools(count: int) -> list[dict[str, Any]]:
    """Return the definitions of so many functions."""
    return [_function(number) for number in range(count)]


def _function(number: int) -> dict[str, Any]:
    properties = {
        "mountain": {"type": "string", "description": "The name of the mountain, as on the map."},
        "metres": {"type": "integer", "description": "How far around it to look."},
    }
    parameters = {"type": "object", "properties": properties, "required": ["mountain"]}
    function = {"name": f"look_up_{number}", "description": "Look a mountain up.", "parameters": parameters}
    return {"type": "function", "function": function}


def media(count: int, size: int) -> list[dict[str, Any]]:
    """Return a message with so many images and as many documents, each of so many bytes."""
    data = base64.b64encode(bytes(range(256)) * (size // 256)).decode()
    image = {"type": "image_url", "image_url": f"data:image/png;base64,{data}"}
    document = {
        "type": "document_url",
        "document_url": f"data:application/pdf;base64,{data}",
        "document_name": "cones",
    }
    return [{"role": "user", "content": [{"type": "text", "text": _TEXT}, *[image, document] * count]}]


def signed_links(count: int) -> str:
    """Return a text with so many links that are signed."""
    return "".join(_SIGNED.format(number) for number in range(count))


def connectors(count: int) -> list[dict[str, Any]]:
    """So many connectors, each with what lets Mistral use it."""
    authorization = {"type": "oauth2-token", "value": _KEY}
    return [
        {"type": "connector", "connector_id": f"maps-{number}", "authorization": authorization}
        for number in range(count)
    ]


def refusal() -> Callable[[], SDKError]:
    """Make the error that a request is refused with, whose answer repeats the request."""
    response = httpx2.Response(422, request=httpx2.Request("POST", "https://api.mistral.ai/v1/conversations"))
    detail = f'{{"loc": ["body", "tools"], "msg": "no such tool", "input": {{"api_key": "{_KEY}"}}}}'
    body = f'{{"detail": [{", ".join([detail] * 10)}]}}'
    return lambda: SDKError("API error occurred", response, body)
