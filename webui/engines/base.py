"""What the app wants of an engine, and what an engine yields. Knows no library."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal, Protocol

from webui.conversation import End, Sampling
from webui.engines.messages import ServerTokenizer
from webui.prompt import Prompt, Tokenizer

Stage = Literal["importing", "connecting", "loading", "warming", "ready", "failed", "restarting", "stopping"]


class Priority(IntEnum):
    """Who gets a free lane first, in this order; among the same, who came first. Nobody loses a lane to a higher one unless
    the KV cache is full."""

    VISITOR = 0
    API = 1
    EVALUATION = 2
    DEMO = 3


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """The engine in force, by what the engine itself says and never by what it was asked for.

    Attributes:
        model: its name as a person reads it.
        device: what it runs on.
        engine: library and version.
        lanes: sequences in one batch (`max_num_seqs`); 0 if the engine does not say.
        context: tokens of prompt and answer together (`max_model_len`); 0 if the engine does not say.
        sampling: the defaults that the model's makers recommend.
        prefix_cache: whether prompts that begin alike share their KV cache.
        decode_buckets: batch sizes that decode steps are compiled for; empty where they are not.
        effective: engine values that are worth showing.
        versions: library -> version.
        ignored: sampling settings that it takes and does not heed.
        cannot: what this engine cannot do or tell, by the names of the page's texts `cannot.<name>`.
    """

    model: str
    device: str
    engine: str
    lanes: int
    context: int
    sampling: Sampling
    prefix_cache: bool = False
    decode_buckets: tuple[int, ...] = ()
    effective: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    cannot: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """What one or more steps gave a request: the new text and, with the last piece, how it ended."""

    text: str
    end: End | None = None


class Engine(Protocol):
    """One running engine. A fresh one is made for every start; see `EngineFactory`."""

    info: EngineInfo

    @property
    def tokenizer(self) -> Tokenizer | ServerTokenizer:
        """The model's, or in its place what asks the server that has it."""
        ...

    @property
    def alive(self) -> bool:
        """False once it can answer nothing any more."""
        ...

    def generate(
        self, request_id: str, prompt: Prompt, sampling: Sampling, priority: Priority = Priority.VISITOR
    ) -> AsyncIterator[Piece]:
        """Runs one request; leaving the iteration, by cancelling too, frees its lane.

        Raises:
            EngineStopped: if the engine dies.
            RequestRefused: if the engine cannot run this request.
            WebuiError: what else happened on the way to an engine elsewhere.
        """
        ...

    async def shutdown(self) -> None:
        """Ends it and everything that it started."""
        ...


Report = Callable[[Stage], None]


class EngineFactory(Protocol):
    """Starts engines of one kind."""

    async def __call__(self, report: Report) -> Engine:
        """Starts one and comes back when it is warm, telling each stage to `report` meanwhile.

        Raises:
            WebuiError: in words a person can act on, if it cannot be started.
        """
        ...
