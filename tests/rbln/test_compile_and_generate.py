"""Compile, save, load again, generate: the same tokens as plain transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from optimum.rbln import RBLNAutoModelForCausalLM

from tests.rbln.models import DEMO, compile_model, greedy, prompt


def generate(folder: Path, prompts: list[list[int]], count: int) -> list[list[int]]:
    """What a compiled folder, loaded anew, answers to a full batch of prompts, padded on the left."""
    model = RBLNAutoModelForCausalLM.from_pretrained(folder, export=False)
    longest = max(map(len, prompts))
    padding = [longest - len(one) for one in prompts]
    ids = torch.tensor([[0] * pad + one for pad, one in zip(padding, prompts, strict=True)])
    mask = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in padding])
    answer = model.generate(ids, attention_mask=mask, max_new_tokens=count, do_sample=False, eos_token_id=None)
    return answer[:, longest:].tolist()


def test_a_compiled_model_answers_as_the_plain_one(eager: Path, tiny: Path) -> None:
    prompts = [prompt(seed, length) for seed, length in enumerate((5, 128, 300, 129))]
    assert generate(eager, prompts, 40) == [greedy(tiny, one, 40) for one in prompts]


def test_the_demo_model_compiled_for_four_lanes(compiled_demo: Path) -> None:
    prompts = [prompt(seed, length) for seed, length in enumerate((3, 60, 200, 20))]
    assert generate(compiled_demo, prompts, 60) == [greedy(DEMO, one, 60) for one in prompts]


def test_what_a_compiled_folder_says_of_itself(eager: Path) -> None:
    config = json.loads((eager / "rbln_config.json").read_text())
    assert (config["batch_size"], config["max_seq_len"], config["decoder_batch_sizes"]) == (4, 1024, [4, 2, 1])
    assert {path.name for path in eager.glob("*.rbln")} == {
        "prefill.rbln",
        "decoder_batch_4.rbln",
        "decoder_batch_2.rbln",
        "decoder_batch_1.rbln",
    }


def test_devices_of_a_compile_must_be_there(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = compile_model(tiny, tmp_path, batch_size=1, max_seq_len=512, num_devices=2)
    assert generate(folder, [prompt(1, 9)], 8) == [greedy(tiny, prompt(1, 9), 8)]
    monkeypatch.setenv("RBLN_VISIBLE_DEVICES", "3")
    with pytest.raises(RuntimeError, match="there is no device 1"):
        RBLNAutoModelForCausalLM.from_pretrained(folder, export=False)
