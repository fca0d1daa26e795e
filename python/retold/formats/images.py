"""Images in three forms. A picture is the one part that every form can hold."""

from collections.abc import Mapping
from typing import Any

from retold.events.items import Block, Form
from retold.formats.json_text import read_body


def translate_image(block: Block, form: Form) -> dict[str, Any] | None:
    """Return the image in *block* as a part of *form*, or None if it is no image or has no address to carry over."""
    url = _url_of(block.kind, read_body(block.body))
    return None if url is None else _part(url, form)


def _url_of(kind: str, part: Mapping[str, Any]) -> str | None:
    if kind == "image_url":
        address = part.get("image_url")
        url = address.get("url") if isinstance(address, dict) else address
    elif kind == "input_image":
        url = part.get("image_url")
    elif kind == "image":
        url = _url_of_source(part.get("source"))
    else:
        url = None
    return url if isinstance(url, str) else None


def _url_of_source(source: Any) -> str | None:
    if not isinstance(source, dict):
        return None
    if source.get("type") == "base64":
        return f"data:{source.get('media_type')};base64,{source.get('data')}"
    url = source.get("url")
    return url if isinstance(url, str) else None


def _part(url: str, form: Form) -> dict[str, Any]:
    if form == "chat":
        return {"type": "image_url", "image_url": {"url": url}}
    if form == "responses":
        return {"type": "input_image", "image_url": url}
    return {"type": "image", "source": _source(url)}


def _source(url: str) -> dict[str, Any]:
    head, comma, data = url.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        return {"type": "base64", "media_type": head.removeprefix("data:").removesuffix(";base64"), "data": data}
    return {"type": "url", "url": url}
