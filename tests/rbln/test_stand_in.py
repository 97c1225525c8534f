"""The stand-in's own promises, where no answer of a model would show that they are broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import rebel
import torch
from hypothesis import given, settings
from hypothesis import strategies as st


class Store(torch.nn.Module):
    """Writes its input into a cache, at a place, and reads all of it."""

    def forward(self, values: torch.Tensor, place: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
        cache.index_copy_(0, place, values)
        return cache.clone()


def compiled(context: rebel.CompileContext, rows: int = 1, blocks: int = 4) -> rebel.RBLNCompiledModel:
    cache = torch.empty(blocks, 2, device="meta")
    context.mark_static_address(cache, "cache")
    rows_in = [("values", [rows, 2], "float32"), ("place", [rows], "int64"), ("cache", [blocks, 2], "float32")]
    examples = (torch.zeros(rows, 2), torch.zeros(rows, dtype=torch.int64), cache)
    return rebel.compile_from_torch(
        Store(), rows_in, example_inputs=examples, compile_context=context, npu="RBLN-CA25", num_devices=2
    )


def saved(model: rebel.RBLNCompiledModel, path: Path) -> rebel.RBLNCompiledModel:
    model.save(path)
    return rebel.RBLNCompiledModel(path)


def sums(runtime: rebel.Runtime, *places: int) -> list[float]:
    """Writes ones to places of a cache, and gives the sum of each of its rows."""
    count = len(places)
    return runtime(torch.ones(count, 2), torch.tensor(places)).sum(-1).tolist()


def test_graphs_of_one_context_share_their_cache_and_a_second_load_has_its_own(tmp_path: Path) -> None:
    context = rebel.CompileContext(use_weight_sharing=True)
    prefill, decode = saved(compiled(context), tmp_path / "a"), saved(compiled(context, rows=2), tmp_path / "b")
    first, second = rebel.Runtime(prefill, "pt"), rebel.Runtime(decode, "pt")
    assert sums(first, 3) == [0, 0, 0, 2]
    assert sums(second, 0, 1) == [2, 2, 0, 2]
    again = rebel.Runtime(prefill, "pt")
    assert sums(again, 2) == [0, 0, 2, 0]
    elsewhere = rebel.Runtime(decode, "pt", device=[2, 3])
    assert sums(elsewhere, 1, 2) == [0, 2, 2, 0]


def test_the_cache_grows_by_whole_blocks_and_counts_once_per_device(tmp_path: Path) -> None:
    model = compiled(rebel.CompileContext())
    model.exp_multiply_buffer_size({"cache": 3})
    assert model.exp_get_dram_tensor_sizes() == {"cache": [[48], [48]]}  # 12 blocks of 2 float32 on 2 devices
    assert model.get_alloc_per_node_by_key() == {"Weight": [0, 0], "DramTensor": [48, 48]}
    model.exp_rescale_buffer_size({"cache": (5, 12)})
    assert len(sums(rebel.Runtime(saved(model, tmp_path / "a"), "pt"), 4)) == 5
    with pytest.raises(ValueError, match="not whole"):
        model.exp_rescale_buffer_size({"cache": (1, 2)})


@pytest.mark.parametrize("content", [b"", b"RBLN of the real compiler", b"PK\x03\x04 something else"])
def test_a_file_that_is_not_its_own_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "prefill.rbln").write_bytes(content)
    with pytest.raises(RuntimeError, match="not compiled by this emulation"):
        rebel.RBLNCompiledModel(tmp_path / "prefill.rbln")


@pytest.mark.parametrize(
    "arguments", [(torch.ones(1, 3), torch.tensor([0])), (torch.ones(1, 2).double(), torch.tensor([0])), (torch.ones(1, 2),)]
)
def test_arguments_must_be_what_was_compiled(arguments: tuple[torch.Tensor, ...]) -> None:
    with pytest.raises(ValueError, match="the graph"):
        rebel.Runtime(compiled(rebel.CompileContext()), "pt")(*arguments)


@pytest.mark.parametrize(
    ("variables", "count", "name"),
    [
        ({}, 4, "RBLN-CA25"),
        ({"EMULATED_NPU": ""}, 0, None),
        ({"EMULATED_NPU": "RBLN-CA22", "EMULATED_NPU_COUNT": "1"}, 1, "RBLN-CA22"),
        ({"RBLN_VISIBLE_DEVICES": "2,3,9"}, 2, "RBLN-CA25"),
        ({"RBLN_VISIBLE_DEVICES": "2,3", "RBLN_DEVICES": "0"}, 1, "RBLN-CA25"),
    ],
)
def test_devices(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], count: int, name: str | None) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert (rebel.device_count(), rebel.get_npu_name(), rebel.npu_is_available(count)) == (count, name, False)


def chunk_of(tokens: torch.Tensor, first: int, length: int) -> torch.Tensor:
    """Some tokens of one sequence, padded to their full number, as a batch of one."""
    part = tokens[:, :, first : first + length]
    return torch.nn.functional.pad(part, (0, 0, 0, length - part.shape[2])).unsqueeze(0)


@settings(max_examples=60, deadline=None)
@given(
    heads=st.integers(1, 3),
    groups=st.integers(1, 3),
    length=st.integers(1, 24),
    block_size=st.sampled_from([4, 8]),
    order=st.permutations(range(8)),
    flash=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_paged_attention_is_attention(
    heads: int, groups: int, length: int, block_size: int, order: list[int], flash: bool, seed: int
) -> None:
    """A prompt in chunks, the last one padded, over blocks in any order: what PyTorch's attention gives for all of it."""
    chunk, head_size = 4, 4
    random = torch.Generator().manual_seed(seed)
    q = torch.randn(heads, groups, length, head_size, generator=random)
    k, v = (torch.randn(heads, 1, length, head_size, generator=random) for _ in range(2))
    kcache, vcache = (torch.full((8, heads, 1, block_size, head_size), torch.nan) for _ in range(2))
    options: dict[str, Any] = {"scale": torch.tensor(0.5), "block_size": block_size}
    options["block_table"] = torch.tensor(order[: -(-length // block_size)], dtype=torch.int16)
    options |= {"partition": block_size} if flash else {}
    operator = getattr(torch.ops.rbln_custom_ops, f"paged_{'flash_' * flash}causal_attn_prefill")
    found = []
    for first in range(0, length, chunk):
        new = [chunk_of(tokens, first, chunk) for tokens in (q, k, v)]
        found.append(operator(*new, kcache, vcache, seq=torch.tensor([[first]]), **options)[0, :, :, : length - first])
    expected = torch.nn.functional.scaled_dot_product_attention(q, k.expand_as(q), v.expand_as(q), is_causal=True, scale=0.5)
    torch.testing.assert_close(torch.cat(found, dim=2), expected)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), k=st.integers(1, 12), p=st.floats(0.01, 1))
def test_a_drawn_token_is_among_the_k_and_within_p(seed: int, k: int, p: float) -> None:
    rebel.manual_seed(seed)
    probs = torch.randn(3, 12, generator=torch.Generator().manual_seed(seed)).softmax(-1)
    drawn = torch.ops.rbln.top_k_top_p(probs, torch.full((3,), k), torch.full((3,), p))
    rebel.manual_seed(seed)
    assert torch.equal(drawn, torch.ops.rbln.top_k_top_p(probs, torch.full((3,), k), torch.full((3,), p)))
    for row, token in zip(probs, drawn.tolist(), strict=True):
        likelier = row[row > row[token]]
        assert len(likelier) < k
        assert likelier.sum() <= p * row.topk(k).values.sum() + 1e-6


def test_the_samplers_operators_bear_memory_that_nobody_wrote() -> None:
    probs = torch.tensor([[torch.nan, torch.inf, 0.0], [0.0, 0.0, 0.0]])
    assert set(torch.ops.rbln.top_k_top_p(probs, None, None).tolist()) <= {0, 1, 2}
