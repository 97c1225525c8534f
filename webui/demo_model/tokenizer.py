"""The tokenizer of the demo model: byte-level BPE trained on the corpus, one token per control mark, and the chat template.

Knows nothing of training the model; needs the `tokenizers` and `transformers` packages, which are imported when used.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from webui.demo_model.corpus import Dialogue, DialogueMaker

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, BEGIN, END_OF_TEXT, END_OF_TURN = "<|pad|>", "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"
ROLE_MARKS = {role: f"<|{role}|>" for role in ("system", "user", "assistant")}
CONTROL_TOKENS = (PAD, BEGIN, END_OF_TEXT, END_OF_TURN, *ROLE_MARKS.values())
"""In the order of their ids, from 0."""
VOCABULARY_SIZE = 3072
CONTEXT_LENGTH = 2048
CHAT_TEMPLATE = """\
{{- bos_token }}
{%- for message in messages %}
    {%- set text = (message['content'] or '') | trim %}
    {%- if message['role'] == 'user' and text == text | upper and text[:1] != text[:1] | lower %}
        {%- set text = text | lower %}
    {%- endif %}
    {%- if text or message['role'] != 'system' %}
        {{- '<|' + message['role'] + '|>' + text + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|assistant|>' }}
{%- endif %}
"""
"""What a visitor types in capitals alone is read in small letters: so small a model has no room for both."""
CUT_MESSAGES = 0.12
CUTS = 0.12
STOPPED = 0.6
"""Share of the longer answers that are stopped after their first tokens while training: the rest follows from these, and
reading it over and over takes time that other questions need."""
STOPPED_AFTER = (12, 28)
"""Tokens that are left of a stopped answer, at least and at most; longer answers are those with more."""


def train_tokenizer(
    maker: DialogueMaker, seed: int, dialogues: int = 12_000, vocabulary_size: int = VOCABULARY_SIZE
) -> PreTrainedTokenizerFast:
    """A tokenizer whose merges come from conversations of the corpus."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    backend.train_from_iterator(_texts(maker, seed, dialogues), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=BEGIN,
        eos_token=END_OF_TEXT,
        pad_token=PAD,
        additional_special_tokens=[END_OF_TURN, *ROLE_MARKS.values()],
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT_LENGTH,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _texts(maker: DialogueMaker, seed: int, dialogues: int) -> Iterator[str]:
    rng = random.Random(seed)
    for _ in range(dialogues):
        for message in maker.draw(rng):
            yield message.text
    # Syllables that the corpus does not use, so that unknown Korean words do not fall apart into single bytes.
    for final in range(0, 28, 4):
        yield " ".join(chr(code) for code in range(ord("가") + final, ord("힣") + 1, 28))


def as_read(role: str, text: str) -> str:
    """What the model reads of a message, as the chat template says it."""
    text = text.strip()
    shouted = role == "user" and text == text.upper() and text[:1] != text[:1].lower()
    return text.lower() if shouted else text


class DialogueEncoder:
    """Turns conversations into token ids, and says which of them the model must learn to produce."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, context_length: int = CONTEXT_LENGTH) -> None:
        self._backend = tokenizer.backend_tokenizer
        self.context_length = context_length
        self._ids = {mark: self._backend.token_to_id(mark) for mark in CONTROL_TOKENS}

    def encode(self, dialogue: Dialogue, rng: random.Random | None = None) -> tuple[list[int], list[float]]:
        """Ids and how much each counts when it is learned, cut before the first turn that would not fit.

        An answer counts as the square root of its length: what kind of answer it is shows in its first words, and in a long one
        (a story, whose words are drawn) there is little to learn after them. What is not the model's own counts nothing.

        With a random generator some of the visitor's words are cut into smaller tokens than usual: that is how the model learns
        what its tokens are spelled like. The cutting is done here because the tokenizers library's own dropout takes no seed.
        Many of the longer answers are then stopped early, as visitors stop them.
        """
        ids, learned = [self._ids[BEGIN]], [0.0]
        kept = 1
        for message in dialogue:
            text = self._pieces(as_read(message.role, message.text), message.role != "assistant", rng)
            counts = [0.0] * (len(text) + 1)
            if message.role == "assistant":
                text, counts = self._learned(text, None if message.referred_to else rng)
            ids += [self._ids[ROLE_MARKS[message.role]], *text, self._ids[END_OF_TURN]]
            learned += [0.0, *counts]
            if len(ids) > self.context_length:
                break
            if message.role == "assistant":
                kept = len(ids)
        return ids[:kept], learned[:kept]

    def _learned(self, text: list[int], rng: random.Random | None) -> tuple[list[int], list[float]]:
        """An answer's tokens and how much they and the end of the turn count; with a random generator it may be stopped."""
        length = len(text) + 1
        if rng is not None and length > STOPPED_AFTER[1] and rng.random() < STOPPED:
            length = rng.randint(*STOPPED_AFTER)
            return text[:length], [*([length**-0.5] * length), 0.0]
        return text, [length**-0.5] * length

    def _pieces(self, text: str, may_cut: bool, rng: random.Random | None) -> list[int]:
        if rng is None or not may_cut or rng.random() >= CUT_MESSAGES:
            return list(self._backend.encode(text, add_special_tokens=False).ids)
        pieces, start = [], 0
        for end in range(1, len(text) + 1):
            if end == len(text) or rng.random() < CUTS:
                pieces.append(text[start:end])
                start = end
        return [id_ for encoding in self._backend.encode_batch(pieces, add_special_tokens=False) for id_ in encoding.ids]


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer that lies in a model folder."""
    from transformers import PreTrainedTokenizerFast

    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(str(folder))
    return tokenizer
