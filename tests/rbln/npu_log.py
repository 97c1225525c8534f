"""What the emulated NPU ran, as it notes it itself: one line for each graph, whichever process ran it."""

from __future__ import annotations

from pathlib import Path

VARIABLE = "EMULATED_NPU_LOG"


class NpuLog:
    """The file of that log.

    Args:
        path: its name; the variable must have it where an engine starts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clear()

    def clear(self) -> None:
        """Forgets what ran."""
        self.path.write_text("")

    def steps(self) -> list[int]:
        """For each graph that ran the size of its decode batch, 0 for a prompt's."""
        return [lanes if tokens == 1 else 0 for lanes, tokens in self._shapes()]

    def buckets(self) -> list[int]:
        """The sizes of the decode batches, one for each step: decode reads one token of each sequence."""
        return [bucket for bucket in self.steps() if bucket]

    def prefills(self) -> int:
        """How many chunks of prompts were read."""
        return self.steps().count(0)

    def _shapes(self) -> list[tuple[int, int]]:
        lines = self.path.read_text().splitlines()
        return [(int(lanes), int(tokens)) for lanes, tokens in map(str.split, lines)]
