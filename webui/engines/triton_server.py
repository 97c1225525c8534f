"""A model behind Triton Inference Server's vLLM backend, over gRPC.

The server takes text, not tokens, and knows no conversations: the tokenizer here writes the prompt and counts the budget. Its
newer releases stream what is new, its older ones repeat prompt and answer so far each time; the model's metadata tells which.
What runs and waits on the server it does not tell, so the board shows this app's own requests, as seen from here.

It does not know conversations, turns or pages, and imports the client (requirements/triton.txt) only when it is wanted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from webui.background import in_background
from webui.batch.board import Board
from webui.conversation import End, Sampling
from webui.engines.base import EngineInfo, Report
from webui.engines.elsewhere import EngineElsewhere
from webui.engines.model_check import explain
from webui.engines.seen_from_here import SeenRequest
from webui.errors import (
    ClientMissing,
    ConnectionBroken,
    ContextUnknown,
    ModelNotServed,
    NoChatTemplate,
    RequestRefused,
    ServerFailed,
    ServerStalled,
    ServerUnreachable,
    WebuiError,
)
from webui.prompt import Prompt, Tokenizer
from webui.settings import Settings

ANSWERS_WITHIN = 15.0  # seconds that the server may take to say how it is; on a busy machine it may stand still
CANNOT = ("lanes", "waiting", "kv_cache", "api")
ENDS: dict[str, End] = {"stop": "stop", "length": "length", "abort": "aborted", "repetition": "stop"}
ENGINE_DIED = ("EngineCore", "EngineDead", "AsyncEngineDead")  # what vLLM says in the server's error then
NO_CONTEXT = 10_000_000  # tokens; a tokenizer that does not know says a number far above


@dataclass(frozen=True, slots=True)
class Release:
    """What the server's release of the backend can do, by the inputs that the model's metadata names.

    Attributes:
        deltas: each response holds what is new; else the prompt and all of the answer so far.
        finish_reason, token_counts: whether it says why an answer ended, and how many tokens there were.
    """

    deltas: bool
    finish_reason: bool
    token_counts: bool

    @classmethod
    def of(cls, inputs: set[str]) -> Release:
        """Reads the names of the model's inputs."""
        return cls(
            deltas="exclude_input_in_output" in inputs,
            finish_reason="return_finish_reason" in inputs,
            token_counts={"return_num_input_tokens", "return_num_output_tokens"} <= inputs,
        )


class TritonEngines:
    """Connects to the model of one Triton server.

    Args:
        settings: which server and model, and where the tokenizer is.
        board: hears of this app's requests.
    """

    def __init__(self, settings: Settings, board: Board) -> None:
        self._settings = settings
        self._board = board
        self._tokenizer: Any = None  # kept: a server that comes back has the same model

    async def __call__(self, report: Report) -> TritonEngine:
        """See `EngineFactory`."""
        report("importing")
        await in_background(_import_client)
        if self._tokenizer is None:
            self._tokenizer = await in_background(lambda: _load_tokenizer(self._settings))
        context = _context(self._settings, self._tokenizer)
        report("connecting")
        return await self._connect(context)

    async def _connect(self, context: int) -> TritonEngine:
        from tritonclient.grpc.aio import InferenceServerClient

        url, model = cast(str, self._settings.url), self._settings.model_name
        client = InferenceServerClient(url)
        try:
            server = await _server(client, url)
            release = Release.of(await _inputs(client, url, model))
        except BaseException:
            await client.close()
            raise
        info = EngineInfo(
            model=model,
            device=f"Triton at {url}",
            engine="vLLM backend",  # of which version, the server does not say
            lanes=0,
            context=context,
            sampling=Sampling(),
            effective={
                "streams": "what is new" if release.deltas else "all so far",
                "says_why_it_ended": release.finish_reason,
            },
            versions={
                "python": sys.version.partition(" ")[0],
                "tritonclient": metadata.version("tritonclient"),
                "tritonserver": server["version"],
            },
            cannot=CANNOT,
        )
        return TritonEngine(client, url, release, info, self._tokenizer, self._board, self._settings.stall_after)


class TritonEngine(EngineElsewhere):
    """A connection to one model of a Triton server."""

    def __init__(
        self,
        client: Any,
        url: str,
        release: Release,
        info: EngineInfo,
        tokenizer: Any,
        board: Board,
        stall_after: float,
    ) -> None:
        super().__init__(info, board)
        self.tokenizer: Tokenizer = tokenizer
        self._client = client
        self._url = url
        self._release = release
        self._bos = leading_bos(tokenizer)
        self._stall_after = stall_after

    async def _answer(self, request_id: str, prompt: Prompt, sampling: Sampling, seen: SeenRequest) -> AsyncIterator[str]:
        """Each request has a stream of its own: an error in one names no request."""
        text = prompt.text.removeprefix(self._bos)
        longest = self._longest(sampling, len(prompt.ids))
        answer = Answer(self._release, text)
        inputs = self._inputs(text, parameters(sampling, longest))
        async with contextlib.aclosing(self._responses(request_id, inputs)) as responses:  # type: ignore[type-var]
            async for response in responses:
                piece = answer.take(response)
                seen.gave(answer.new_tokens, answer.prompt_tokens)
                if piece:
                    yield piece
        if not self._release.token_counts:
            seen.gave(self._count(answer.text) - seen.tokens)
        seen.end = answer.end or self._guess(seen, longest)

    def _longest(self, sampling: Sampling, prompt_tokens: int) -> int:
        room = max(1, self.info.context - prompt_tokens)
        return min(room, sampling.max_tokens or room)

    def _guess(self, seen: SeenRequest, longest: int) -> End:
        """Older releases do not say why an answer ended; one that is as long as allowed was cut."""
        return "length" if seen.tokens >= longest else "stop"

    def _count(self, text: str) -> int:
        return len(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _inputs(self, text: str, sampling: str) -> list[Any]:
        inputs = [_tensor("text_input", text), _tensor("stream", True), _tensor("sampling_parameters", sampling)]
        if self._release.finish_reason:
            inputs.append(_tensor("return_finish_reason", True))
        if self._release.token_counts:
            inputs += [_tensor("return_num_input_tokens", True), _tensor("return_num_output_tokens", True)]
        return inputs

    async def _responses(self, request_id: str, inputs: list[Any]) -> AsyncIterator[Any]:
        """The server's responses to one request.

        Raises:
            WebuiError: what the server refuses or fails at, or that it is gone.
        """
        stream = self._client.stream_infer(_once(self.info.model, inputs, request_id))
        silence: float | None = None
        try:
            while True:
                try:
                    async with asyncio.timeout(silence):
                        result, error = await anext(stream)
                except StopAsyncIteration:
                    return
                if error is not None:
                    self._watch.doubt()
                    raise _in_words(error)
                yield result
                if _is_last(result):
                    return
                silence = self._stall_after  # before its first text it may wait in a long line
        except TimeoutError as error:
            raise ServerStalled(address=self._url, seconds=round(self._stall_after)) from error
        except asyncio.CancelledError as error:
            # A call that was ended at this side says so too, although nobody cancelled this task.
            if _is_cancelled():
                raise
            raise ConnectionBroken(address=self._url, reason="the connection was closed") from error
        except Exception as error:
            if isinstance(error, WebuiError):
                raise
            self._watch.doubt()
            raise ConnectionBroken(address=self._url, reason=_reason(error)) from error
        finally:
            stream.cancel()  # leaving the iteration alone would let the server go on

    async def _is_well(self) -> bool:
        try:
            return bool(await self._client.is_model_ready(self.info.model, client_timeout=ANSWERS_WITHIN))
        except Exception:  # whatever it is, the server did not say that it is well
            return False

    async def shutdown(self) -> None:
        """See `Engine`."""
        await super().shutdown()
        await self._client.close()


class Answer:
    """An answer as it comes in, from a release of either kind.

    Args:
        release: tells how to read a response.
        prompt: the text that was sent.

    Attributes:
        text: all of it so far.
        new_tokens: how many the last response brought, as far as the server says.
        prompt_tokens: how many the server counted in the prompt; 0 if it does not say.
        end: why it ended, if the server said so.
    """

    def __init__(self, release: Release, prompt: str) -> None:
        self._release = release
        self._prompt = prompt
        self.text = ""
        self.new_tokens = 0
        self.prompt_tokens = 0
        self.end: End | None = None

    def take(self, response: Any) -> str:
        """Reads a response and gives the text that is new in it."""
        self.new_tokens = sum(_values(response, "num_output_tokens"))
        self.prompt_tokens = sum(_values(response, "num_input_tokens")) or self.prompt_tokens
        for reason in _values(response, "finish_reason"):
            if (said := reason.decode()) != "None":
                self.end = ENDS.get(said, "failed")
        new = b"".join(_values(response, "text_output")).decode("utf-8", "replace")
        if not self._release.deltas:
            new = new.removeprefix(self._prompt)[len(self.text) :]
        self.text += new
        return new


def parameters(sampling: Sampling, longest: int) -> str:
    """The backend's `sampling_parameters`: JSON that names what differs from vLLM's defaults, and always the length, whose
    default is 16. A null, or a name that the server's vLLM does not know, would be refused."""
    asked: dict[str, Any] = {"max_tokens": longest, "temperature": sampling.temperature, "top_p": sampling.top_p}
    usual = Sampling()
    for name in ("top_k", "min_p", "repetition_penalty", "seed"):
        if (value := getattr(sampling, name)) != getattr(usual, name):
            asked[name] = value
    if sampling.min_tokens:
        asked["min_tokens"] = min(longest, sampling.min_tokens)
    if sampling.stop:
        asked["stop"] = list(sampling.stop)
    return json.dumps(asked)


def leading_bos(tokenizer: Any) -> str:
    """What to take off the front of a prompt because the server's tokenizer puts it there again; empty if it does not."""
    bos, id = getattr(tokenizer, "bos_token", None), getattr(tokenizer, "bos_token_id", None)
    adds = bos and list(tokenizer("a")["input_ids"])[:1] == [id]
    return str(bos) if adds else ""


def _import_client() -> None:
    try:
        import tritonclient.grpc.aio  # noqa: F401
    except (ImportError, RuntimeError) as error:  # the latter is how it says that a part of it is missing
        raise ClientMissing(package="tritonclient[grpc]", engine="triton") from error


def _load_tokenizer(settings: Settings) -> Any:
    from transformers import AutoTokenizer

    name = cast(str, settings.tokenizer)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            name, revision=settings.revision, trust_remote_code=bool(settings.trust_remote_code)
        )
    except Exception as error:
        raise explain(name, error) from error
    if settings.chat_template is None and tokenizer.chat_template is None:
        raise NoChatTemplate(model=name)
    return tokenizer


def _context(settings: Settings, tokenizer: Any) -> int:
    """Tokens of prompt and answer together. The server keeps that to itself: what the settings say, or else the smaller of what
    the tokenizer and the model's configuration beside it say.

    Raises:
        ContextUnknown: if none of them says anything.
    """
    if settings.max_model_len is not None:
        return settings.max_model_len
    said = [int(tokenizer.model_max_length)]
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        config = json.loads((Path(cast(str, settings.tokenizer)) / "config.json").read_text(encoding="utf-8"))
        said.append(int(config["max_position_embeddings"]))
    if min(said) >= NO_CONTEXT:
        raise ContextUnknown(tokenizer=settings.tokenizer)
    return min(said)


async def _server(client: Any, url: str) -> dict[str, str]:
    try:
        return cast("dict[str, str]", await client.get_server_metadata(as_json=True, client_timeout=ANSWERS_WITHIN))
    except Exception as error:
        raise ServerUnreachable(address=url, reason=_reason(error)) from error


async def _inputs(client: Any, url: str, model: str) -> set[str]:
    """The names of the model's inputs, once it is ready and takes text."""
    try:
        about = await client.get_model_metadata(model, as_json=True, client_timeout=ANSWERS_WITHIN)
        ready = await client.is_model_ready(model, client_timeout=ANSWERS_WITHIN)
    except Exception as error:
        raise ModelNotServed(address=url, model=model, reason=_reason(error)) from error
    if not ready:
        raise ModelNotServed(address=url, model=model, reason="it is not ready")
    inputs = {tensor["name"] for tensor in about.get("inputs", ())}
    if not {"text_input", "stream", "sampling_parameters"} <= inputs:
        raise ModelNotServed(address=url, model=model, reason="it is no model of the vLLM backend")
    return inputs


def _tensor(name: str, value: str | bool) -> Any:
    import numpy
    from tritonclient.grpc import InferInput

    if isinstance(value, bool):
        tensor, array = InferInput(name, [1], "BOOL"), numpy.array([value])
    else:
        tensor, array = InferInput(name, [1], "BYTES"), numpy.array([value.encode()], dtype=object)
    tensor.set_data_from_numpy(array)
    return tensor


async def _once(model: str, inputs: list[Any], request_id: str) -> AsyncIterator[dict[str, Any]]:
    yield {"model_name": model, "inputs": inputs, "request_id": request_id}


def _values(response: Any, name: str) -> list[Any]:
    """A tensor's values; none if the server did not send it."""
    tensor = response.as_numpy(name)
    return [] if tensor is None else tensor.reshape(-1).tolist()


def _is_last(response: Any) -> bool:
    return bool(response.get_response().parameters["triton_final_response"].bool_param)


def _in_words(error: Any) -> WebuiError:
    """An error that came in the stream."""
    reason = _reason(error)
    return ServerFailed(reason=reason) if any(word in reason for word in ENGINE_DIED) else RequestRefused(reason=reason)


def _reason(error: Any, length: int = 300) -> str:
    """What the server, or the client's library, says in the first line."""
    said = error.message() if hasattr(error, "message") else error.details() if hasattr(error, "details") else str(error)
    lines = (str(said) or type(error).__name__).strip().splitlines()
    return lines[0][:length].rstrip(".")


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
