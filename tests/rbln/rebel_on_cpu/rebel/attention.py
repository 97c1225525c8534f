"""The attention operators that a decoder's graph calls: torch.ops.rbln_custom_ops.paged_[flash_]causal_attn_{prefill,decode}.

The contract: AttentionOp and FlashAttentionOp (optimum/rbln/transformers/models/decoderonly/decoderonly_architecture.py), by
keyword. B sequences (one in prefill), H key/value heads, G query heads for each of them, L new tokens (one in decode), D
numbers per head:

    q               [B, H, G, L, D]         the new tokens' queries
    k, v            [B, H, 1, L, D]         the new tokens' keys and values, written into the cache by the operator
    kcache, vcache  [blocks, H, 1, block_size, D]
    seq             [B, 1]                  the position of the first new token
    block_table     [n] or [B, n]           the blocks of each sequence, in order

A new token sees itself and everything before it. A chunk of a prompt is padded to its full length; what lies behind the last
block is dropped. Flash attention has the same result; `partition` says how a device cuts the work up. Masked, bidirectional,
sliding-window, sink and FP8 variants are not here: a graph that wants one cannot be compiled.
"""

import torch

_library = torch.library.Library("rbln_custom_ops", "DEF")


def paged_causal_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    kcache: torch.Tensor,
    vcache: torch.Tensor,
    seq: torch.Tensor,
    scale: torch.Tensor,
    block_table: torch.Tensor,
    block_size: int,
    partition: int = 0,
    is_bidirectional: bool = False,
) -> torch.Tensor:
    """Writes keys and values into the cache and attends to all of it.

    Returns:
        [B, H, G, L, D].
    """
    if is_bidirectional:
        raise NotImplementedError("the emulation of rebel has causal attention only")
    tables = block_table.reshape(q.shape[0], -1).long()
    return torch.stack(
        [
            _attend(q[row], k[row], v[row], kcache, vcache, int(first), float(scale), tables[row], block_size)
            for row, first in enumerate(seq.flatten().tolist())
        ]
    )


def _attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    kcache: torch.Tensor,
    vcache: torch.Tensor,
    first: int,
    scale: float,
    table: torch.Tensor,
    block_size: int,
) -> torch.Tensor:
    """The same for one sequence, whose new tokens stand at `first` and behind."""
    positions = torch.arange(min(first + q.shape[2], len(table) * block_size))
    block, offset = table[positions // block_size], positions % block_size
    new = len(positions) - first
    for cache, tokens in ((kcache, k), (vcache, v)):
        cache[block[first:], :, 0, offset[first:]] = tokens[:, 0, :new].transpose(0, 1).to(cache.dtype)
    keys, values = (cache[block, :, 0, offset].transpose(0, 1).unsqueeze(1).to(q.dtype) for cache in (kcache, vcache))
    sees = positions <= first + torch.arange(q.shape[2]).unsqueeze(1)
    shape = (-1, q.shape[1], -1, -1)
    return torch.nn.functional.scaled_dot_product_attention(
        q, keys.expand(shape), values.expand(shape), attn_mask=sees, scale=scale
    )


def linear(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """torch.nn.functional.linear, which optimum replaces by this operator while it compiles (modeling_decoderonly.py)."""
    return torch.ops.aten.linear(input, weight, bias)


_ARGUMENTS = (
    "Tensor q, Tensor k, Tensor v, Tensor(a!) kcache, Tensor(b!) vcache, Tensor seq, Tensor scale, Tensor block_table, "
    "int block_size, int partition=0, bool is_bidirectional=False"
)
for _kind in ("paged_causal_attn", "paged_flash_causal_attn"):
    for _phase in ("prefill", "decode"):
        _library.define(f"{_kind}_{_phase}({_ARGUMENTS}) -> Tensor")
        _library.impl(f"{_kind}_{_phase}", paged_causal_attention, "CPU")
_library.define("linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor")
_library.impl("linear", linear, "CPU")
