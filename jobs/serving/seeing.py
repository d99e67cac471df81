"""Pictures in a conversation, for a model that sees: from OpenAI's content parts to what its image processor makes of them.

Only ``data:`` addresses are taken: this server fetches nothing from anywhere.
"""

from __future__ import annotations

import base64
import binascii
import io
from typing import Any

from jobs.serving.api_errors import ApiError
from jobs.serving.plan import Plan
from jobs.serving.requests import ChatRequest, plain_message

MAX_PIXELS = 80_000_000
MAX_IMAGES = 16


def load_processor(plan: Plan, tokenizer: Any, model: Any) -> Any | None:
    """The processor of a model that sees; None for all others, and where it cannot be loaded: then it serves as one that
    reads text, and the log says why."""
    from backend.catalog.config import described

    if not described(model.config.to_dict())["vision"]:
        return None
    from transformers import AutoProcessor

    try:
        processor = AutoProcessor.from_pretrained(plan.model, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001 - a missing file or package, each with an exception of its own
        print(f"This model serves text only; its image processor could not be loaded: {error}", flush=True)  # noqa: T201 - the job's log
        return None
    if getattr(processor, "image_processor", None) is None:
        return None
    processor.tokenizer = tokenizer
    processor.chat_template = processor.chat_template or tokenizer.chat_template
    return processor


def conversation(request: ChatRequest) -> list[dict[str, Any]]:
    """The messages as templates of models that see take them: each content a list of parts, pictures decoded.

    Raises:
        ApiError: 400, naming the message, for what is no picture or stands elsewhere.
    """
    found, images = [], 0
    for index, message in enumerate(request.messages):
        content = message.content or ""
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        taken = []
        for part in parts:
            if part.get("type") in ("image_url", "input_image"):
                images += 1
                taken.append({"type": "image", "image": _image(index, part)})
            elif part.get("type") in ("text", "input_text", "output_text") and isinstance(part.get("text"), str):
                taken.append({"type": "text", "text": part["text"]})
            else:
                raise _bad(index, f"this model takes text and images, not '{part.get('type')}'")
        if images > MAX_IMAGES:
            raise _bad(index, f"at most {MAX_IMAGES} images are taken in one request")
        found.append({**plain_message(index, message), "content": taken})
    return found


def has_images(messages: list[dict[str, Any]]) -> bool:
    """Whether there is anything to see in what :func:`conversation` gave."""
    return any(part["type"] == "image" for message in messages for part in message["content"])


def encode(processor: Any, messages: list[dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
    """Tensors by name, ``input_ids`` (1 x tokens) among them; the mask is all ones and left out."""
    encoded = processor.apply_chat_template(messages, **asked, tokenize=True, return_dict=True, return_tensors="pt")
    return {name: value for name, value in encoded.items() if name != "attention_mask"}


def _image(index: int, part: dict[str, Any]) -> Any:
    from PIL import Image, UnidentifiedImageError

    address = part.get("image_url")
    url = address.get("url") if isinstance(address, dict) else address
    if not isinstance(url, str) or not url.startswith("data:"):
        raise _bad(index, "an image must be sent along as a data: URL; this server fetches nothing")
    try:
        opened = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2], validate=True)))
        if opened.width * opened.height > MAX_PIXELS:
            raise _bad(index, f"the image has more than {MAX_PIXELS} pixels")
        return opened.convert("RGB")
    except UnidentifiedImageError as error:
        raise _bad(index, "the image is none that can be read") from error
    except (OSError, ValueError, SyntaxError, binascii.Error, Image.DecompressionBombError) as error:
        raise _bad(index, f"the image cannot be read: {error}") from error


def _bad(index: int, problem: str) -> ApiError:
    return ApiError(400, "unsupported_content", f"messages.{index}: {problem}.", param=f"messages.{index}.content")
