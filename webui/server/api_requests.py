"""What a program's request may ask of the engine: reads the body, refuses what must not pass, holds it to the limits.

vLLM checks the values of the fields; here is decided which of them reach it. A test holds this list against vLLM's own
fields, so that a new release cannot add one unseen. It knows neither vLLM nor who asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request

from webui.errors import BadInput, BodyTooLarge

BODY_AT_MOST = 4_000_000  # bytes
TOKENIZED_AT_MOST = 500_000  # bytes of a body whose text is tokenized in full, which no length of context ends
LENGTHS = {  # path of what generates -> the fields that say how long an answer may get, the one to be set if none is last
    "/v1/chat/completions": ("max_tokens", "max_completion_tokens"),
    "/v1/completions": ("max_tokens",),
    "/v1/responses": ("max_output_tokens",),
}
# What would take more than one lane for one answer, run on when its client has gone, read another machine's memory, load
# what a stranger names, or reach into extensions of the engine.
REFUSED = frozenset(
    "use_beam_search prompt_embeds media_io_kwargs mm_processor_kwargs chat_template kv_transfer_params ec_transfer_params "
    "vllm_xargs background previous_response_id".split()
)
DROPPED = "request_id"  # tells doors apart; whatever a program says, its request gets one of the API's
# Kinds of content that this server does not take; vLLM would fetch some of them from an address that the program names.
MEDIA = frozenset(
    "image_url image_pil image_embeds input_image audio_url audio_embeds input_audio video_url video_embeds prompt_embeds "
    "input_file file".split()
)


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request that may pass.

    Attributes:
        body: its JSON as it goes on.
        answers: how many answers it asks for, each of which takes a lane; 1 for what generates nothing.
        given: the fields that it says something in.
    """

    body: bytes
    answers: int
    given: frozenset[str]


async def read_body(path: str, request: Request) -> bytes | None:
    """The body; None if the client has gone.

    Raises:
        BodyTooLarge
    """
    content = bytearray()
    limit = BODY_AT_MOST if path in LENGTHS else TOKENIZED_AT_MOST
    try:
        async for part in request.stream():
            content += part
            if len(content) > limit:
                raise BodyTooLarge(limit=limit)
    except ClientDisconnect:
        return None
    return bytes(content)


def checked(path: str, content: bytes, max_tokens: int | None) -> ApiRequest:
    """Holds a request to the rules.

    Args:
        path: which of the API's it is for.
        content: the body as it came.
        max_tokens: the longest answer that the settings allow.

    Raises:
        BadInput: naming the field that cannot pass.
    """
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise BadInput(field="body", reason="is not JSON") from None
    if not isinstance(body, dict):
        raise BadInput(field="body", reason="an object is wanted")
    for field in REFUSED:
        if body.get(field):
            raise BadInput(field=field, reason="this server does not take it")
    _check_text_only(body)
    body.pop(DROPPED, None)
    given = frozenset(field for field, value in body.items() if value is not None)
    if path not in LENGTHS:
        return ApiRequest(_written(body), 1, given)
    if max_tokens is not None:
        _limit_length(body, path, max_tokens)
    return ApiRequest(_written(body), _answers(body), given)


def _written(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:  # what could be read can be written, but for its depth
        raise BadInput(field="body", reason="is nested too deeply") from None


def _answers(body: dict[str, Any]) -> int:
    given = _whole(body, "n")
    count = 1 if given is None else given
    if count < 1:
        raise BadInput(field="n", reason="at least 1 is wanted")
    prompt = body.get("prompt")
    several = isinstance(prompt, list) and bool(prompt) and not isinstance(prompt[0], int)
    return count * (len(prompt) if several else 1)  # type: ignore[arg-type]


def _limit_length(body: dict[str, Any], path: str, max_tokens: int) -> None:
    fields = LENGTHS[path]
    given = {field: value for field in fields if (value := _whole(body, field)) is not None}
    body.update({field: min(value, max_tokens) for field, value in given.items()})
    default_is_short = path == "/v1/completions" and fields[0] not in body
    if not given and not default_is_short:
        body[fields[-1]] = max_tokens


def _whole(body: dict[str, Any], field: str) -> int | None:
    """A whole number or nothing: what merely can be read as one would slip past a limit."""
    value = body.get(field)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise BadInput(field=field, reason="a whole number is wanted")


def _check_text_only(body: dict[str, Any]) -> None:
    for part in _dictionaries([body.get("messages"), body.get("input")]):
        kind = part.get("type")
        found = MEDIA.intersection(part) or (MEDIA & {kind} if isinstance(kind, str) else None)
        if found:
            raise BadInput(field=min(found), reason="this server takes text only")


def _dictionaries(value: Any) -> Iterator[dict[str, Any]]:
    """Every object within a JSON value."""
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield value
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
