"""Copies a trained model into a larger one that says the same, so that its training can go on with more room.

After Net2Net (Chen, Goodfellow, Shlens, "Net2Net: Accelerating Learning via Knowledge Transfer", ICLR 2016). What is new reads
with the random weights that it has and writes with zeros: it changes no answer before it has learned something. Knows nothing
of training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM


@torch.no_grad()
def grow(small: LlamaForCausalLM, large: LlamaForCausalLM) -> None:
    """Gives the large model the weights of the small one, which has as many layers and groups and at most as much of the rest.

    Raises:
        ValueError: the two differ in what cannot grow, or the large one is smaller.
    """
    _check(small, large)
    heads = _places_of_heads(small, large)
    learned = dict(small.named_parameters())
    for name, weights in large.named_parameters():
        _copy(name, learned[name], weights, heads)


def _check(small: LlamaForCausalLM, large: LlamaForCausalLM) -> None:
    same = ("num_hidden_layers", "num_key_value_heads", "head_dim", "vocab_size")
    grown = ("hidden_size", "intermediate_size", "num_attention_heads")
    differ = [each for each in same if getattr(small.config, each) != getattr(large.config, each)]
    shrink = [each for each in grown if getattr(small.config, each) > getattr(large.config, each)]
    if differ or shrink:
        raise ValueError(f"The model cannot grow: {', '.join(differ + shrink)} would change or be less than it has now.")


def _places_of_heads(small: LlamaForCausalLM, large: LlamaForCausalLM) -> torch.Tensor:
    """Where each number of the small model's heads is among those of the large one: every head stays in its group."""
    size, groups = small.config.head_dim, small.config.num_key_value_heads
    fewer, more = (model.config.num_attention_heads // groups for model in (small, large))
    return torch.arange(groups * more * size).view(groups, more * size)[:, : fewer * size].reshape(-1)


def _copy(name: str, learned: torch.Tensor, weights: torch.Tensor, heads: torch.Tensor) -> None:
    """One parameter: rows are what a matrix writes, columns what it reads."""
    if learned.dim() == 1:
        # The mean of the squares is over more numbers now, of which the new ones are zero.
        weights[: len(learned)] = learned * (len(learned) / len(weights)) ** 0.5
        return
    rows, columns = (torch.arange(length) for length in learned.shape)
    if "o_proj" in name:
        columns = heads
    elif "q_proj" in name:
        rows = heads
    if "o_proj" in name or "down_proj" in name or "embed" in name:
        weights.zero_()
    weights[rows[:, None], columns] = learned
