"""What a compiled folder says of itself, and the buckets that follow from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from webui.errors import CompiledUnusable
from webui.rbln.compiled import is_compiled, read


def test_everything_is_read(compiled: Any) -> None:
    model = read(compiled())
    assert (model.batch, model.context, model.devices, model.npu) == (4, 4096, 4, "RBLN-CA25")
    assert (model.buckets, model.dtype, model.optimum) == ((1, 2, 4), "bfloat16", "0.12.0")
    assert (model.attention, model.kv_block, model.kv_blocks, model.chunk) == ("flash_attn", 1024, 16, 128)
    assert (model.model_class, model.missing) == ("RBLNLlamaForCausalLM", ())


def test_an_eager_model_has_blocks_of_a_full_context(compiled: Any) -> None:
    folder = compiled(attn_impl="eager", kvcache_partition_len=None, kvcache_block_size=None)
    assert read(folder).kv_block == 4096


def test_devices_stand_with_the_graphs_only(compiled: Any) -> None:
    model = read(compiled(_compile_cfgs=[], num_devices=None))
    assert (model.devices, model.npu) == (1, None)


@pytest.mark.parametrize(
    "lost", ["decoder_batch_2.rbln", "prefill.rbln", "config.json", "tokenizer_config.json", "tokenizer.json"]
)
def test_a_lost_file_is_named(compiled: Any, lost: str) -> None:
    folder = compiled()
    (folder / lost).unlink()
    assert read(folder).missing == (lost,)


def test_an_empty_file_is_as_good_as_lost(compiled: Any) -> None:
    folder = compiled()
    (folder / "prefill.rbln").write_bytes(b"")
    assert read(folder).missing == ("prefill.rbln",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "cannot be read"),
        ("[]", "names no model class"),
        ('{"_meta": {}}', "too old"),
        ('{"cls_name": "X", "max_seq_len": 8}', "batch_size"),
        ('{"cls_name": "X", "batch_size": true, "max_seq_len": 8}', "batch_size"),
        ('{"cls_name": "X", "batch_size": 2, "max_seq_len": "8"}', "max_seq_len"),
        ('{"cls_name": "X", "batch_size": 2, "max_seq_len": 8, "decoder_batch_sizes": [4]}', "decoder_batch_sizes"),
        ('{"cls_name": "RBLNBertConfig", "phases": ["prefill"]}', "does not generate text"),
    ],
)
def test_what_is_no_compiled_model_is_said(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "rbln_config.json").write_text(text)
    with pytest.raises(CompiledUnusable, match=reason):
        read(tmp_path)


def test_a_folder_is_known_by_its_configuration(compiled: Any, tmp_path: Path) -> None:
    assert is_compiled(compiled())
    assert not is_compiled(tmp_path) and not is_compiled("organisation/model")


def test_sliding_windows_pin_requests_to_the_full_batch(compiled: Any) -> None:
    assert read(compiled()).decode_buckets == (1, 2, 4)
    assert read(compiled(cache_impl="hybrid")).decode_buckets == (4,)
