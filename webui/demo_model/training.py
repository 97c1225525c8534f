"""Trains the demo model from scratch: `train-demo-model --steps N --seed S --out DIR`.

A run is a fixed number of steps; everything random in it comes from the seed, so the same command on the same machine gives the
same weights. Checkpoints make it resumable. Knows nothing of the engine that will serve the model.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

    from webui.demo_model.batches import Batch, Position
    from webui.demo_model.forward import Loss

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Shape:
    """The size of the model; a Llama with tied embeddings."""

    hidden: int = 256
    feed_forward: int = 1024
    layers: int = 6
    heads: int = 8
    key_value_heads: int = 2
    head_size: int = 32
    vocabulary: int = 3072
    context: int = 2048

    @classmethod
    def of(cls, folder: Path) -> Shape:
        """The size of the model in this folder."""
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return cls(
            hidden=config["hidden_size"],
            feed_forward=config["intermediate_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            key_value_heads=config["num_key_value_heads"],
            head_size=config["head_dim"],
            vocabulary=config["vocab_size"],
            context=config["max_position_embeddings"],
        )


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what the weights will be."""

    steps: int
    seed: int = 1
    tokens_per_step: int = 4096
    matrix_rate: float = 0.02
    vector_rate: float = 4e-3
    warmup_steps: int = 50
    decay_steps: int = 0
    last_rate: float = 0.02
    tokenizer_dialogues: int = 12_000
    shape: Shape = field(default_factory=Shape)
    compiled: bool = True

    def rate(self, step: int) -> float:
        """The learning rate at a step, as a share of the highest: warm up, stay, fall in a straight line at the end."""
        warm = min(1.0, (step + 1) / self.warmup_steps)
        left = (self.steps - step) / self.decay_steps if self.decay_steps else 1.0
        return warm * min(1.0, max(self.last_rate, left))

    @property
    def first_decay_step(self) -> int:
        """Until here a run is the same whatever its length, so it can still be made longer or shorter."""
        return self.steps - self.decay_steps

    def can_continue(self, saved: dict[str, Any], step: int) -> bool:
        """Whether a run with this recipe would have come to the same weights as the saved one at that step."""
        mine = asdict(self)
        if mine == saved:
            return True
        length = {"steps", "decay_steps"}
        same = all(value == saved[name] for name, value in mine.items() if name not in length)
        return same and step <= min(self.first_decay_step, saved["steps"] - saved["decay_steps"])


class Trainer:
    """One run: the model, its optimisers and where in the batches it stands."""

    def __init__(self, recipe: Recipe, out: Path, start_from: Path | None = None) -> None:
        import torch

        from webui.demo_model.batches import Position

        torch.manual_seed(recipe.seed)
        self.recipe, self.out = recipe, out
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.tokenizer = _tokenizer(recipe, out if (out / CHECKPOINT).exists() else start_from)
        self.model = _model(recipe.shape, start_from).to(self.device)
        self._loss = self._make_loss()
        self.optimizers = self._make_optimizers()
        self.step = 0
        self.position: Position = Position()
        self.told_to_stop = False

    def stop(self, *_: object) -> None:
        """Ends the run after the step that is under way; a handler of signals."""
        self.told_to_stop = True

    def _make_loss(self) -> Loss:
        from webui.demo_model.forward import Loss

        return Loss(self.model, self.recipe.tokens_per_step, self.recipe.compiled)

    def _make_optimizers(self) -> list[torch.optim.Optimizer]:
        """Muon for the matrices, AdamW for embeddings and norms, for which Muon is not made."""
        import torch

        from webui.demo_model.muon import Muon

        named = list(self.model.named_parameters())
        matrices = [weights for name, weights in named if weights.ndim == 2 and "embed" not in name]
        others = [weights for name, weights in named if weights.ndim != 2 or "embed" in name]
        return [
            Muon(matrices, lr=self.recipe.matrix_rate),
            torch.optim.AdamW(others, lr=self.recipe.vector_rate, betas=(0.9, 0.98), weight_decay=0.0),
        ]

    def resume(self) -> None:
        """Goes on from the checkpoint in the folder, if one is there."""
        import torch

        from webui.demo_model.batches import Position

        path = self.out / CHECKPOINT
        if not path.exists():
            return
        saved = torch.load(path, map_location=self.device, weights_only=True)
        if not self.recipe.can_continue(saved["recipe"], saved["step"]):
            raise SystemExit(f"{path} belongs to another recipe: {saved['recipe']}")
        self.model.load_state_dict(saved["model"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.step, self.position = saved["step"], Position(*saved["position"])

    def save_checkpoint(self) -> None:
        """Writes everything that `resume` needs; a crash while writing leaves the previous one."""
        import torch

        self.out.mkdir(parents=True, exist_ok=True)
        self.tokenizer.save_pretrained(self.out)
        unfinished = self.out / f"{CHECKPOINT}.part"
        torch.save(
            {
                "recipe": asdict(self.recipe),
                "model": self.model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                "step": self.step,
                "position": (self.position.shard, self.position.taken),
            },
            unfinished,
        )
        unfinished.replace(self.out / CHECKPOINT)

    def run(self, save_every: int) -> None:
        """All steps that are left."""
        from tqdm import tqdm

        progress = tqdm(total=self.recipe.steps, initial=self.step, unit="step", mininterval=5.0)
        tokens, smooth, started = 0, 0.0, time.monotonic()
        for batch in self._batches():
            loss = self._one_step(batch)
            tokens += batch.tokens
            smooth = loss if not smooth else 0.97 * smooth + 0.03 * loss
            if self.step % 10 == 0:
                speed = tokens / (time.monotonic() - started)
                progress.set_postfix(loss=f"{smooth:.4f}", tokens=f"{tokens / 1e6:.2f}M", speed=f"{speed:.0f}/s")
            progress.update()
            if self.step % save_every == 0:
                self.save_checkpoint()
            if self.step >= self.recipe.steps or self.told_to_stop:
                break
        progress.close()

    def _batches(self) -> Iterator[Batch]:
        from webui.demo_model.batches import batches

        if self.step >= self.recipe.steps:
            return iter(())
        recipe = self.recipe
        # a processor that trains is left to it; one that feeds a GPU has nothing better to do
        workers = 1 if self.device.type == "cpu" else max(1, (os.cpu_count() or 1) - 2)
        return batches(self.tokenizer, recipe.seed, recipe.tokens_per_step, self.position, recipe.shape.context, workers)

    def _one_step(self, batch: Batch) -> float:
        import torch

        for optimizer, highest in zip(self.optimizers, (self.recipe.matrix_rate, self.recipe.vector_rate), strict=True):
            optimizer.param_groups[0]["lr"] = highest * self.recipe.rate(self.step)
        loss = self._loss(batch.ids.to(self.device), batch.learned.to(self.device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step, self.position = self.step + 1, batch.after
        return float(loss.item())

    def save_model(self) -> None:
        """Writes the folder that an engine loads: weights in bf16, configuration, tokenizer, chat template."""
        import torch

        self.out.mkdir(parents=True, exist_ok=True)
        copy.deepcopy(self.model).to(torch.bfloat16).save_pretrained(self.out)
        self.tokenizer.save_pretrained(self.out)
        (self.out / "recipe.json").write_text(json.dumps(asdict(self.recipe), indent=2) + "\n", encoding="utf-8")


def _tokenizer(recipe: Recipe, folder: Path | None) -> PreTrainedTokenizerFast:
    """The tokenizer that lies in the folder, or a new one."""
    from webui.demo_model.corpus import DialogueMaker
    from webui.demo_model.tokenizer import CHAT_TEMPLATE, load_tokenizer, train_tokenizer

    if folder is not None:
        tokenizer = load_tokenizer(folder)
        tokenizer.chat_template = CHAT_TEMPLATE
        return tokenizer
    return train_tokenizer(DialogueMaker(), recipe.seed, recipe.tokenizer_dialogues, recipe.shape.vocabulary)


def _model(shape: Shape, start_from: Path | None) -> LlamaForCausalLM:
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    from webui.demo_model.growing import grow
    from webui.demo_model.tokenizer import BEGIN, CONTROL_TOKENS, END_OF_TEXT, END_OF_TURN, PAD

    ids = {mark: place for place, mark in enumerate(CONTROL_TOKENS)}
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        head_dim=shape.head_size,
        max_position_embeddings=shape.context,
        tie_word_embeddings=True,
        initializer_range=0.03,
        bos_token_id=ids[BEGIN],
        eos_token_id=ids[END_OF_TEXT],
        pad_token_id=ids[PAD],
    )
    model = LlamaForCausalLM(config)
    if start_from is not None:
        grow(LlamaForCausalLM.from_pretrained(str(start_from), dtype=torch.float32), model)
    # The engine stops at either; nobody has to pass stop ids.
    model.generation_config = GenerationConfig(
        bos_token_id=ids[BEGIN], eos_token_id=[ids[END_OF_TEXT], ids[END_OF_TURN]], pad_token_id=ids[PAD]
    )
    trained: LlamaForCausalLM = model.train()
    return trained


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="train-demo-model", description="Train the model that ships with Batchat, from scratch."
    )
    parser.add_argument("--steps", type=int, required=True, help="number of training steps")
    parser.add_argument("--decay-steps", type=int, help="last steps, in which the learning rate falls (default: 60 %%)")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same machine: same weights (default 1)")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and the finished model")
    parser.add_argument("--start-from", type=Path, help="go on from this model, which may be smaller, and its tokenizer")
    parser.add_argument("--hidden", type=int, help=f"width (default: that of --start-from, else {Shape.hidden})")
    parser.add_argument("--feed-forward", type=int, help=f"the same inside a layer (likewise, else {Shape.feed_forward})")
    parser.add_argument("--heads", type=int, help=f"heads of attention (likewise, else {Shape.heads})")
    parser.add_argument("--rate", type=float, default=1.0, help="share of the usual learning rates (default 1)")
    parser.add_argument("--tokens-per-step", type=int, default=4096, help="padded tokens in a batch (default 4096)")
    parser.add_argument("--save-every", type=int, default=200, help="steps between checkpoints (default 200)")
    parser.add_argument("--enforce-eager", action="store_true", help="train without compiling the model first (slower)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="processor threads to use")
    options = parser.parse_args(arguments)
    if options.tokens_per_step < Shape.context:
        parser.error(f"--tokens-per-step: a conversation may fill the context, {Shape.context} tokens")
    return options


def wanted_shape(options: argparse.Namespace) -> Shape:
    """The size that the arguments ask for: that of the model to start from, unless it shall grow."""
    start = Shape() if options.start_from is None else Shape.of(options.start_from)
    given = {name: getattr(options, name) for name in ("hidden", "feed_forward", "heads")}
    return replace(start, **{name: size for name, size in given.items() if size is not None})


def main(arguments: list[str]) -> int:
    """Runs the training that the arguments describe, or goes on with it."""
    options = parse(arguments)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch

    torch.set_num_threads(options.threads)
    recipe = Recipe(
        steps=options.steps,
        decay_steps=options.steps * 3 // 5 if options.decay_steps is None else options.decay_steps,
        seed=options.seed,
        tokens_per_step=options.tokens_per_step,
        matrix_rate=Recipe.matrix_rate * options.rate,
        vector_rate=Recipe.vector_rate * options.rate,
        shape=wanted_shape(options),
        compiled=not options.enforce_eager,
    )
    trainer = Trainer(recipe, options.out, options.start_from)
    trainer.resume()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, trainer.stop)
    trainer.run(options.save_every)
    trainer.save_checkpoint()
    if trainer.step < recipe.steps:
        print(f"Stopped after step {trainer.step}; the same command goes on from here.")
        return 130
    trainer.save_model()
    print(f"{trainer.model.num_parameters():,} parameters in {options.out}")
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
