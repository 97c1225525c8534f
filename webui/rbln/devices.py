"""Which NPUs there are, by what the driver says, and whether they are NPUs at all.

The stand-in for the compiler that the tests run on says so itself, and is never called an NPU. It knows neither models nor
engines.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EMULATED = "RBLN emulated on CPU"
SMI_WITHIN = 10  # seconds
THROTTLED, HUNG = "P10", "P12"  # performance states, by Rebellions' documentation


@dataclass(frozen=True, slots=True)
class Npus:
    """The NPUs that this process may use.

    Attributes:
        names: one per device, such as RBLN-CA25, in the order in which they are numbered.
        emulated: True if they are not there, but the tests' stand-in.
        reason: why there are none; empty if there are some.
        driver: what is known of the driver.
    """

    names: tuple[str, ...]
    emulated: bool
    reason: str
    driver: str

    @property
    def name(self) -> str | None:
        """The first one's name."""
        return self.names[0] if self.names else None

    def label(self, devices: int) -> str:
        """As a person reads it: "RBLN-CA25 x 4"."""
        if self.emulated:
            return EMULATED
        return f"{self.name} x {devices}" if self.name else "RBLN"


@functools.cache
def is_rbln_environment() -> bool:
    """Whether vLLM runs on RBLN in this environment: the plug-in that is installed decides, not the machine."""
    return importlib.util.find_spec("vllm_rbln") is not None


def find_npus() -> Npus:
    """Asks the driver, through the compiler's runtime."""
    files = sorted(Path("/dev").glob("rbln[0-9]*"))
    driver = f"{len(files)} device files" if files else "none (no /dev/rbln0)"
    if importlib.util.find_spec("rebel") is None:
        return Npus((), False, "rebel-compiler is not installed in this environment", driver)
    try:
        import rebel

        emulated = bool(getattr(rebel, "__emulated__", False))
        names = _names(rebel)
    except Exception as error:  # a closed library: whatever it raises, there is no NPU to be had
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return Npus((), False, f"rebel-compiler fails: {reason}", driver)
    driver = "none, emulated" if emulated else driver
    return Npus(names, emulated, "" if names else _reason(files), driver)


@dataclass(frozen=True, slots=True)
class NpuState:
    """One device as `rbln-smi` shows it, in its own units.

    Attributes:
        device: such as rbln0.
        name: such as RBLN-CA25.
        performance: the P-state.
    """

    device: str
    name: str
    temperature: str
    power: str
    performance: str
    memory_used: str
    memory: str


def read_smi() -> list[NpuState]:
    """Every device of this host, also those that this process may not use; empty if `rbln-smi` is not there or fails."""
    try:
        smi = subprocess.run(["rbln-smi"], capture_output=True, text=True, timeout=SMI_WITHIN, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [_smi_row(columns) for line in smi.stdout.splitlines() if (columns := _columns(line))]


def _columns(line: str) -> list[str]:
    """NPU, name, device, PCI bus, temperature, power, P-state, memory (used / total), utilisation; [] for another line."""
    columns = [column.strip() for column in line.strip().strip("|").split("|")]
    is_device = len(columns) == 9 and columns[0].isdigit() and columns[2].startswith("rbln") and "/" in columns[7]
    return columns if is_device else []


def _smi_row(columns: list[str]) -> NpuState:
    used, _, total = columns[7].partition("/")
    return NpuState(columns[2], columns[1], columns[4], columns[5], columns[6], used.strip(), total.strip())


def _names(rebel: Any) -> tuple[str, ...]:
    return tuple(str(rebel.get_npu_name(number)) for number in range(rebel.device_count()) if rebel.npu_is_available(number))


def _reason(files: list[Path]) -> str:
    visible = os.environ.get("RBLN_VISIBLE_DEVICES")
    if visible is not None:
        return f"none is left by RBLN_VISIBLE_DEVICES={visible}"
    if files:
        return "the driver has devices, but the runtime cannot use them (rbln-smi says more)"
    return "there is no /dev/rbln0: no NPU, no driver, or no access to it"
