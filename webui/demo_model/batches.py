"""An endless, seeded stream of training batches, made while training runs.

Conversations are drawn in shards, sorted by length within a shard so that little is padded, and shuffled as batches. A position
in the stream can be named and returned to. Knows nothing of the model.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from webui.demo_model.corpus import DialogueMaker
from webui.demo_model.tokenizer import PAD, DialogueEncoder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

DIALOGUES_PER_SHARD = 1024


@dataclass(frozen=True)
class Position:
    """Where the stream stands: so many batches of this shard have been taken."""

    shard: int = 0
    taken: int = 0


@dataclass(frozen=True)
class Batch:
    """Conversations as one padded block of token ids with how much each counts, and where the stream stands after it."""

    ids: torch.Tensor
    learned: torch.Tensor
    tokens: int
    after: Position


Encoded = tuple[list[int], list[float]]
Group = list[Encoded]


class Shards(Dataset[list[Group]]):
    """The batches of a seed, a shard at a time and not padded yet; the same whoever makes them and in whatever order."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, seed: int, tokens_per_batch: int, context_length: int) -> None:
        self._seed, self._tokens_per_batch = seed, tokens_per_batch
        self._maker, self._encoder = DialogueMaker(), DialogueEncoder(tokenizer, context_length)

    def __getitem__(self, shard: int) -> list[Group]:
        rng = random.Random(f"{self._seed}/{shard}")
        encoded = [self._encoder.encode(self._maker.draw(rng), rng) for _ in range(DIALOGUES_PER_SHARD)]
        groups = self._groups(sorted((each for each in encoded if any(each[1])), key=lambda each: len(each[0])))
        rng.shuffle(groups)
        return groups

    def _groups(self, by_length: list[Encoded]) -> list[Group]:
        """Neighbours in length, as many as fit into a batch once they are padded."""
        groups: list[Group] = [[]]
        for each in by_length:
            if (len(groups[-1]) + 1) * len(each[0]) > self._tokens_per_batch and groups[-1]:
                groups.append([])
            groups[-1].append(each)
        return groups


class _From(Sampler[int]):
    """All numbers from one on."""

    def __init__(self, first: int) -> None:
        self._first = first

    def __iter__(self) -> Iterator[int]:
        return itertools.count(self._first)


def batches(
    tokenizer: PreTrainedTokenizerFast,
    seed: int,
    tokens_per_batch: int,
    start: Position,
    context_length: int,
    workers: int = 1,
) -> Iterator[Batch]:
    """The stream from a position on, made by processes of its own so that the trainer never waits for it."""
    shards = Shards(tokenizer, seed, tokens_per_batch, context_length)
    padding = tokenizer.convert_tokens_to_ids(PAD)
    loader = DataLoader(
        shards, batch_size=None, sampler=_From(start.shard), num_workers=workers, prefetch_factor=2, collate_fn=_as_made
    )
    taken = start.taken
    for shard, groups in enumerate(loader, start.shard):
        for place in range(taken, len(groups)):
            yield _padded(groups[place], padding, Position(shard, place + 1))
        taken = 0


def _as_made(groups: list[Group]) -> list[Group]:
    """Plain lists go from process to process: a tensor would hold a file open until it is used."""
    return groups


def _padded(group: Group, padding: int, after: Position) -> Batch:
    length = max(len(ids) for ids, _ in group)
    ids = torch.full((len(group), length), padding, dtype=torch.long)
    learned = torch.zeros((len(group), length), dtype=torch.float32)
    for row, (tokens, marks) in enumerate(group):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        learned[row, : len(marks)] = torch.tensor(marks)
    return Batch(ids, learned, sum(len(tokens) for tokens, _ in group), after)
