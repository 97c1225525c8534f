"""Sampling fields that an RBLN engine must not get: nothing passes but what is known to be read."""

from __future__ import annotations

from types import SimpleNamespace

from webui.rbln.sampling import IGNORED, READ, refused

FIELDS = ("temperature", "seed", "prompt_logprobs", "thinking_token_budget")
DEFAULT = SimpleNamespace(temperature=1.0, seed=None, prompt_logprobs=None, thinking_token_budget=None)


def test_what_kills_the_engine_is_refused() -> None:
    asked = SimpleNamespace(temperature=0.0, seed=1, prompt_logprobs=0, thinking_token_budget=None)
    assert refused(FIELDS, asked, DEFAULT) == ["prompt_logprobs"]


def test_a_field_that_nobody_has_tried_is_refused_too() -> None:
    asked = SimpleNamespace(**{**vars(DEFAULT), "of_next_year": 1})
    default = SimpleNamespace(**{**vars(DEFAULT), "of_next_year": None})
    assert refused([*FIELDS, "of_next_year"], asked, default) == ["of_next_year"]


def test_what_is_asked_for_by_default_passes() -> None:
    assert refused(FIELDS, DEFAULT, DEFAULT) == []


def test_an_empty_object_asks_for_nothing() -> None:
    """vLLM's Responses API sends one with every request."""
    asked, default = SimpleNamespace(extra_args={}), SimpleNamespace(extra_args=None)
    assert refused(["extra_args"], asked, default) == []
    assert refused(["extra_args"], SimpleNamespace(extra_args={"a": 1}), default) == ["extra_args"]


def test_the_seed_is_taken_and_marked() -> None:
    assert "seed" in IGNORED and "seed" in READ and "prompt_logprobs" not in READ
