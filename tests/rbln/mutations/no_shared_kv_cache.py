"""A broken device, as a plugin of pytest: prefill and each decode bucket have a KV cache of their own."""

from rebel import device_memory, runtime
from rebel.compiled_model import Layout


def _own_memory(layout: Layout, devices: tuple[int, ...]) -> device_memory.DeviceMemory:
    memory = device_memory.DeviceMemory()
    memory.allocate(layout)
    return memory


runtime.memory_for = _own_memory
