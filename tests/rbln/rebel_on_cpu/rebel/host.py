"""What the tests' host lacks besides an NPU and its compiler; nothing here is rebel's.

It is done when `rebel` is imported because vllm-rbln imports that first, in the engine's own process too.
"""

import importlib.util
from pathlib import Path

import torch

_libraries: list[torch.library.Library] = []  # one that is collected takes its declarations with it


def declare_torchvision_operators() -> None:
    """Lets PyPI's torchvision be imported beside CPU torch.

    vllm-rbln imports every multimodal model of its, and with them torchvision. The CPU build is on PyTorch's own index only;
    PyPI's is CUDA's, cannot load its library here, and then fails at the declaration of two operators that it takes for
    loaded (torchvision/_meta_registrations.py). Nobody calls them.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or "+cu" not in Path(spec.origin).with_name("version.py").read_text():
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _libraries.append(library)


def give_torch_an_empty_accelerator() -> None:
    """Lets an engine end: vLLM empties the accelerator's caches on every platform but "cpu"
    (vllm/distributed/parallel_state.py), and without torch-rbln PyTorch has no accelerator and raises."""
    if not torch.accelerator.is_available():
        torch.accelerator.empty_cache = torch.accelerator.empty_host_cache = lambda: None
