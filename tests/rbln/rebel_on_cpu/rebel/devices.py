"""Which NPUs the emulated host has.

The contract: optimum/rbln/utils/runtime_utils.py (a name of None means no such device, and names decide the limits of a
compile) and vllm_rbln/platform (RBLN_VISIBLE_DEVICES chooses devices; its older name, RBLN_DEVICES, goes first if set).

The emulated host is described by EMULATED_NPU, the devices' name (empty: a host without an NPU), and EMULATED_NPU_COUNT.
"""

import os

NAME = "RBLN-CA25"
COUNT = 4


def device_count() -> int:
    """How many devices this process may use."""
    return len(_visible())


def npu_is_available(device: int = 0) -> bool:
    """Whether this process has a device of this number, counted among those it may use."""
    return 0 <= device < device_count()


def get_npu_name(device: int = 0) -> str | None:
    """The product name of a device, or None if there is no such device."""
    return _name() if npu_is_available(device) else None


def _name() -> str:
    return os.environ.get("EMULATED_NPU", NAME)


def _visible() -> list[int]:
    if not _name():
        return []
    there = range(int(os.environ.get("EMULATED_NPU_COUNT", COUNT)))
    chosen = os.environ.get("RBLN_DEVICES") or os.environ.get("RBLN_VISIBLE_DEVICES")
    if chosen is None:
        return list(there)
    return [int(device) for device in chosen.split(",") if int(device) in there]
