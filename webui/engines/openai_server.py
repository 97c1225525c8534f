"""A model behind an OpenAI-compatible server: vLLM's, a router before many of them, llama.cpp's, this very app elsewhere.

The server writes the prompt; what fits its own tokenizer counts, where it has one to ask. What runs and waits there it tells at
/metrics, if it is vLLM; the rows of the board are this app's own requests, as seen from here.

It does not know turns or pages, nor how bytes travel (see `openai_client.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from webui.batch.board import Board
from webui.batch.server_load import ServerLoads, published
from webui.conversation import Sampling
from webui.engines.base import EngineInfo, Report
from webui.engines.elsewhere import EngineElsewhere
from webui.engines.messages import ServerTokenizer, Turns
from webui.engines.openai_client import OpenAIServer, RemoteModel
from webui.engines.seen_from_here import SeenRequest
from webui.errors import CannotContinue, ConnectionBroken, ModelNotServed, WebuiError
from webui.prompt import Prompt
from webui.settings import Settings

log = logging.getLogger(__name__)

READ_EVERY = 1.0  # seconds between two looks at the server's figures
VLLM, LLAMA_CPP = "vllm", "llamacpp"  # what these servers call themselves
ONLY_VLLMS = ("top_k", "min_p", "repetition_penalty")  # sampling settings that OpenAI's API does not have


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a server can do beyond OpenAI's own API.

    Attributes:
        name: what it is, as a person reads it.
        is_vllm: whether it takes what vLLM takes.
        tokenizes: whether it tells the tokens of a prompt.
        publishes: whether it publishes vLLM's figures.
        continues: whether it can go on with an answer.
        ignored: sampling settings that it does not have.
    """

    name: str
    is_vllm: bool
    tokenizes: bool
    publishes: bool
    continues: bool
    ignored: tuple[str, ...]

    def cannot(self, context: int) -> tuple[str, ...]:
        """What cannot be done or known, by the names of the page's texts."""
        missing = {
            "lanes": True,
            "waiting": not self.publishes,
            "kv_cache": not self.publishes,
            "context": not context,
            "tokens": not self.tokenizes,
            "continue": not self.continues,
            "api": True,
        }
        return tuple(name for name, is_missing in missing.items() if is_missing)


class OpenAIEngines:
    """Connects to one model of an OpenAI-compatible server.

    Args:
        settings: which server and model; without one, the server's first.
        board: hears of this app's requests and of the server's figures.
        on_models: told which models the server has, whenever it is asked.
    """

    def __init__(self, settings: Settings, board: Board, on_models: Callable[[list[str]], None] = lambda models: None) -> None:
        self._settings = settings
        self._board = board
        self._on_models = on_models

    async def __call__(self, report: Report) -> OpenAIEngine:
        """See `EngineFactory`."""
        settings = self._settings
        report("connecting")
        server = OpenAIServer(cast(str, settings.base_url), settings.remote_api_key, settings.stall_after)
        try:
            models = await server.models()
            self._on_models([model.id for model in models])
            model = _chosen(models, settings.said("model"), server.address)
            urls = settings.metrics_url or (server.root + "/metrics",)
            return await self._connected(server, model, urls)
        except BaseException:
            await server.close()
            raise

    async def _connected(self, server: OpenAIServer, model: RemoteModel, urls: Sequence[str]) -> OpenAIEngine:
        version = await server.version() if model.owner == VLLM else ""
        able = await _abilities(server, model, urls, version)
        asked = self._settings.max_model_len
        context = min(filter(None, (model.context, asked)), default=0)
        info = EngineInfo(
            model=model.id,
            device=server.address,
            engine=able.name,
            lanes=0,
            context=context,
            sampling=Sampling(),
            effective={"tokenizes": able.tokenizes, "publishes_figures": able.publishes, "continues": able.continues},
            versions={"python": sys.version.partition(" ")[0], **({"vllm": version} if version else {})},
            ignored=able.ignored,
            cannot=able.cannot(context),
        )
        return OpenAIEngine(server, info, able, self._board, urls)


class OpenAIEngine(EngineElsewhere):
    """A connection to one model of a server."""

    def __init__(self, server: OpenAIServer, info: EngineInfo, able: Abilities, board: Board, urls: Sequence[str]) -> None:
        super().__init__(info, board)
        self.tokenizer = ServerTokenizer(self._ids, info.context)
        self._server = server
        self._able = able
        self._board = board
        self._urls = urls
        self._reading = asyncio.create_task(self._read(), name=f"figures of {info.device}")

    async def _answer(self, request_id: str, prompt: Prompt, sampling: Sampling, seen: SeenRequest) -> AsyncIterator[str]:
        body = {"model": self.info.model, "messages": prompt.messages, "stream": True, **self._options(prompt.messages)}
        body |= parameters(sampling, self._able.ignored, self._able.is_vllm)
        try:
            async with contextlib.aclosing(self._server.chat(body)) as parts:  # type: ignore[type-var]
                async for part in parts:
                    if part.text or part.tokens > seen.tokens:
                        seen.gave(max(0, part.tokens - seen.tokens), part.prompt_tokens)
                    seen.end = part.end or seen.end
                    if part.text:
                        yield part.text
        except ConnectionBroken:
            self._watch.doubt()
            raise

    def _options(self, messages: Turns) -> dict[str, Any]:
        """What only vLLM is asked, or whoever understands it."""
        usage: dict[str, Any] = {"include_usage": True}
        if self._able.is_vllm:
            usage["continuous_usage_stats"] = True
        return {"stream_options": usage, **self._continuing(messages)}

    def _continuing(self, messages: Turns) -> dict[str, Any]:
        """What makes the server go on with the last message instead of answering it.

        Raises:
            CannotContinue
        """
        if messages[-1]["role"] != "assistant":
            return {}
        if not self._able.continues:
            raise CannotContinue(address=self.info.device)
        return {"add_generation_prompt": False, "continue_final_message": True} if self._able.is_vllm else {}

    async def _ids(self, messages: Turns) -> list[int] | None:
        if not self._able.tokenizes:
            return None
        return await self._server.tokenize(self.info.model, messages, **self._continuing(messages))

    async def _is_well(self) -> bool:
        try:
            return self.info.model in [model.id for model in await self._server.models()]
        except WebuiError:
            return False

    async def _read(self) -> None:
        """Tells the board what the server publishes, again and again."""
        loads = ServerLoads()
        while self._able.publishes:
            texts = await asyncio.gather(*(self._server.text(url) for url in self._urls))
            self._board.server = loads.add([published(text) if text else None for text in texts], time.monotonic())
            await asyncio.sleep(READ_EVERY)

    async def shutdown(self) -> None:
        """See `Engine`."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await super().shutdown()
        await self._server.close()


def _chosen(models: Sequence[RemoteModel], name: str | None, address: str) -> RemoteModel:
    """The model of this name, or the first.

    Raises:
        ModelNotServed
    """
    for model in models:
        if name in (None, model.id):
            return model
    found = ", ".join(model.id for model in models[:10]) or "no model"
    raise ModelNotServed(address=address, model=name or "a model", reason=f"it has {found}")


async def _abilities(server: OpenAIServer, model: RemoteModel, urls: Sequence[str], version: str) -> Abilities:
    is_vllm = model.owner == VLLM
    tokens, texts = await asyncio.gather(
        server.tokenize(model.id, [{"role": "user", "content": "a"}]), asyncio.gather(*(server.text(url) for url in urls))
    )
    return Abilities(
        name=f"vLLM {version}".rstrip() if is_vllm else {LLAMA_CPP: "llama.cpp"}.get(model.owner, "OpenAI API"),
        is_vllm=is_vllm,
        tokenizes=tokens is not None,
        publishes=any(text and published(text) for text in texts),
        continues=is_vllm or model.owner == LLAMA_CPP,
        ignored=_ignored(model.owner),
    )


def _ignored(owner: str) -> tuple[str, ...]:
    """What a server does not heed. llama.cpp's knows the penalty by another name."""
    return {VLLM: (), LLAMA_CPP: ("repetition_penalty",)}.get(owner, ONLY_VLLMS)


def parameters(sampling: Sampling, ignored: Sequence[str] = (), is_vllm: bool = True) -> dict[str, Any]:
    """OpenAI's parameters always; vLLM's own only where they change something and the server has them."""
    usual = Sampling()
    more = ("top_k", "min_p", "repetition_penalty", "max_tokens", "seed", *(("min_tokens",) if is_vllm else ()))
    changed = {name: getattr(sampling, name) for name in more if name not in ignored}
    changed = {name: value for name, value in changed.items() if value != getattr(usual, name)}
    stop = {"stop": list(sampling.stop)} if sampling.stop else {}
    return {"temperature": sampling.temperature, "top_p": sampling.top_p, **changed, **stop}
