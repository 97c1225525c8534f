"""An endless, seeded stream of training batches, made while training runs.

Conversations are drawn in shards, sorted by length within a shard so that little is padded, and shuffled as batches. A position
in the stream can be named and returned to. Knows nothing of the model.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.utils.data import DataLoader, IterableDataset

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
    """Conversations as one padded block of token ids, and where the stream stands after it."""

    ids: torch.Tensor
    learned: torch.Tensor
    tokens: int
    after: Position


Encoded = tuple[list[int], list[bool]]


class BatchStream(IterableDataset[Batch]):
    """The batches of a seed, from a position on."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, seed: int, tokens_per_batch: int, start: Position, context_length: int
    ) -> None:
        self._tokenizer, self._seed, self._start = tokenizer, seed, start
        self._tokens_per_batch, self._context_length = tokens_per_batch, context_length

    def __iter__(self) -> Iterator[Batch]:
        maker = DialogueMaker()
        encoder = DialogueEncoder(self._tokenizer, self._context_length)
        padding = self._tokenizer.convert_tokens_to_ids(PAD)
        shard, taken = self._start.shard, self._start.taken
        while True:
            groups = self._groups(maker, encoder, shard)
            for place in range(taken, len(groups)):
                yield _padded(groups[place], padding, Position(shard, place + 1))
            shard, taken = shard + 1, 0

    def _groups(self, maker: DialogueMaker, encoder: DialogueEncoder, shard: int) -> list[list[Encoded]]:
        rng = random.Random(f"{self._seed}/{shard}")
        encoded = [encoder.encode(maker.draw(rng), rng) for _ in range(DIALOGUES_PER_SHARD)]
        encoded.sort(key=lambda each: len(each[0]))
        groups: list[list[Encoded]] = [[]]
        for each in encoded:
            if not any(each[1]):
                continue
            if (len(groups[-1]) + 1) * len(each[0]) > self._tokens_per_batch and groups[-1]:
                groups.append([])
            groups[-1].append(each)
        rng.shuffle(groups)
        return groups


def batches(
    tokenizer: PreTrainedTokenizerFast, seed: int, tokens_per_batch: int, start: Position, context_length: int
) -> Iterator[Batch]:
    """The stream, made by a process of its own so that the trainer never waits for it."""
    stream = BatchStream(tokenizer, seed, tokens_per_batch, start, context_length)
    return iter(DataLoader(stream, batch_size=None, num_workers=1, prefetch_factor=64))


def _padded(group: list[Encoded], padding: int, after: Position) -> Batch:
    length = max(len(ids) for ids, _ in group)
    ids = torch.full((len(group), length), padding, dtype=torch.long)
    learned = torch.zeros((len(group), length), dtype=torch.bool)
    for row, (tokens, marks) in enumerate(group):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        learned[row, : len(marks)] = torch.tensor(marks)
    return Batch(ids, learned, sum(len(tokens) for tokens, _ in group), after)
