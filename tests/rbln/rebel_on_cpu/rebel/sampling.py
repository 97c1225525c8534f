"""The sampler's operators, torch.ops.rbln.argmax and torch.ops.rbln.top_k_top_p, and the seed of their random numbers.

The contract: vllm_rbln/v1/sample/rbln_sampler.py, which gives probabilities, not logits, and one k and p for each row; it runs
them under torch.compile with the backend of `rebel.core.torch_compile`. vllm_rbln/platform seeds them with `rebel.manual_seed`
once per engine; the seed of a request never arrives here.
"""

import torch

_library = torch.library.Library("rbln", "DEF")
_generator = torch.Generator()
_TINY = 1e-30


def manual_seed(seed: int) -> None:
    """Seeds every draw of this process that is to come."""
    _generator.manual_seed(seed)


def argmax(logits: torch.Tensor) -> torch.Tensor:
    """The most probable token of each row."""
    return logits.argmax(dim=-1)


def top_k_top_p(probs: torch.Tensor, k: torch.Tensor | None = None, p: torch.Tensor | None = None) -> torch.Tensor:
    """Draws a token per row from the k most probable, and of these from the fewest that have p of the probability together.

    The engine's warm-up hands over memory that nobody has written to: a value that is no number counts as 0.
    """
    kept, tokens = torch.nan_to_num(probs.float(), nan=0.0).clamp(0, 1).sort(dim=-1, descending=True)
    if k is not None:
        kept = kept.masked_fill(torch.arange(kept.shape[-1]) >= k.unsqueeze(-1), 0)
    if p is not None:
        before = kept.cumsum(-1) - kept
        kept = kept.masked_fill(before >= p.unsqueeze(-1) * kept.sum(-1, keepdim=True), 0)
    kept[:, 0] = kept[:, 0].clamp_min(_TINY)
    return tokens.gather(-1, torch.multinomial(kept, 1, generator=_generator)).squeeze(-1)


def _one_token_per_row(scores: torch.Tensor, *_: torch.Tensor | None) -> torch.Tensor:
    """What torch.compile must know of an operator without running it."""
    return scores.new_empty(scores.shape[:-1], dtype=torch.int64)


for _operator, _arguments in ((argmax, "Tensor logits"), (top_k_top_p, "Tensor probs, Tensor? k=None, Tensor? p=None")):
    _library.define(f"{_operator.__name__}({_arguments}) -> Tensor")
    _library.impl(_operator.__name__, _operator, "CPU")
    torch.library.register_fake(f"rbln::{_operator.__name__}", _one_token_per_row, lib=_library)
