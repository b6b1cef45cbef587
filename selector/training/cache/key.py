"""The name of a cached output: it changes with anything that changes the function or its input."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from selector.records import Preprocessing, SplitImages
from selector.training.prefix import FILL_BATCH, ComputedPrefix
from selector.training.rows import Layout

CACHE_VERSION = 1  # raise it with any change of the files' format
_LIBRARIES = ("torch", "torchvision", "timm", "transformers", "numpy")
# Our own code between pixels and features: what it computes is part of the function.
_OWN_CODE = ("backbones/*.py", "data/normalize.py", "training/*.py", "training/cache/*.py")
# Environment variables with which libraries choose their kernels and precisions.
_VARIABLES = (
    *("ONEDNN_", "DNNL_", "MKL_", "ATEN_", "TIMM_", "CUBLAS_"),
    "NVIDIA_TF32_OVERRIDE",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixKey:
    """Everything that decides what the first `cut` stages make of the images of a split.

    Too much in it costs a computation that was not needed; too little, a wrong result.
    """

    content: str  # of the pixels, in order: fingerprint, split, size, decoder
    samples: str  # ids in order
    backbone: str
    weights: str  # what the source calls them
    tensors: str  # what they are, as the stages hold them
    structure: str  # of the stages' modules
    cut: int
    preprocessing: Preprocessing
    view: int
    precision: str
    dtype: str
    memory_format: str
    batch: int  # the last bits depend on what is computed together
    device: str
    arithmetic: str
    code: str
    version: int = CACHE_VERSION

    @property
    def digest(self) -> str:
        """The key as a folder's name."""
        return _digest(asdict(self))


class Keys:
    """The keys of what `computed` gives for a split after each cut, as the network is now."""

    def __init__(self, computed: ComputedPrefix, split: SplitImages) -> None:
        backbone = computed.network.backbone
        self._stages = list(backbone.stages)
        self._marks: list[tuple[str, str]] = []  # of each stage's weights and structure
        weights = list(backbone.parameters())
        self._shared = PrefixKey(
            content=split.content,
            samples=_digest(split.sample_ids),
            backbone=backbone.name,
            weights=backbone.weights_id,
            tensors="",
            structure="",
            cut=0,
            preprocessing=backbone.preprocessing,
            view=computed.view,
            precision=computed.precision,
            dtype=",".join(sorted({str(tensor.dtype) for tensor in weights})),
            memory_format=_memory_format(weights),
            batch=FILL_BATCH,
            device=_device(computed.device),
            arithmetic=_arithmetic(),
            code=_code(),
        )

    def of(self, cut: int) -> PrefixKey:
        """The key after `cut` stages; no stage is looked at twice."""
        for stage in self._stages[len(self._marks) : cut]:
            self._marks.append((_checksum(stage.state_dict().values()), _structure(stage)))
        tensors, structures = zip(*self._marks[:cut], strict=True)
        return replace(
            self._shared, cut=cut, tensors=" ".join(tensors), structure=" ".join(structures)
        )


def pass_name(computed: ComputedPrefix, split: SplitImages) -> str:
    """What all cuts that one pass fills have in common; two passes at once must differ in it."""
    backbone = computed.network.backbone
    parts = [split.content, split.sample_ids, backbone.name, backbone.weights_id]
    return _digest([*parts, computed.view, computed.precision, _device(computed.device)])


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _checksum(tensors: Iterable[Tensor]) -> str:
    """Of the numbers themselves: weights may have been trained since they got their name."""
    found = 0
    for tensor in tensors:
        # Two memory orders of the same weights differ in `memory_format` already.
        plain = Layout.of(tensor[None]).flatten(tensor.detach()[None]).cpu()
        found = zlib.crc32(plain.view(torch.uint8).numpy().data, found)
    return f"{found:08x}"


def _structure(stage: nn.Module) -> str:
    """Types and options of all layers: activations, strides and kernels have no weights.

    timm's layers choose between two ways to compute attention when they are made, and keep it.
    """
    return _digest(
        [
            f"{name} {type(module).__qualname__} {module.extra_repr()} "
            f"{getattr(module, 'fused_attn', '')}"
            for name, module in stage.named_modules()
        ]
    )


def _memory_format(weights: Sequence[Tensor]) -> str:
    four = [w for w in weights if w.dim() == 4]
    last = [w.is_contiguous(memory_format=torch.channels_last) for w in four]
    return "channels_last" if all(last) else "mixed" if any(last) else "contiguous"


def _device(device: torch.device) -> str:
    """Device and software that computes on it, as far as results may depend on them."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        cudnn: Any = torch.backends.cudnn
        return (
            f"{torch.cuda.get_device_name(device)} {major}.{minor} cuda {torch.version.cuda} "
            f"cudnn {cudnn.version()}"
        )
    # Work that is split over threads is summed in another order.
    return (
        f"{device.type} {_processor()} {torch.backends.cpu.get_cpu_capability()} "
        f"{torch.get_num_threads()} threads"
    )


@functools.cache
def _processor() -> str:
    """The model of the processor, since libraries choose their kernels by it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("vendor_id", "cpu family", "model", "model name", "stepping", "CPU part")
    found = dict.fromkeys(line for line in lines if line.partition(":")[0].strip() in wanted)
    return " ".join(" ".join(line.split()) for line in found)


def _arithmetic() -> str:
    """Switches of torch and of the libraries below it that change the last bits."""
    flushes = bool(torch.tensor([1e-39]).mul(1.0).eq(0.0))
    # Any: torch's stubs do not know where it keeps its precisions, nor types of its functions.
    cudnn: Any = torch.backends.cudnn
    mkldnn: Any = torch.backends.mkldnn
    cuda: Any = torch.backends.cuda
    switches = (
        flushes,
        torch.are_deterministic_algorithms_enabled(),
        mkldnn.enabled,
        mkldnn.matmul.fp32_precision,
        mkldnn.conv.fp32_precision,
        cudnn.enabled,
        cudnn.benchmark,
        cudnn.deterministic,
        cudnn.conv.fp32_precision,
        cuda.matmul.fp32_precision,
        cuda.matmul.allow_bf16_reduced_precision_reduction,
        cuda.matmul.allow_fp16_reduced_precision_reduction,
        cuda.flash_sdp_enabled(),  # these four choose on a CPU too
        cuda.mem_efficient_sdp_enabled(),
        cuda.math_sdp_enabled(),
        cuda.cudnn_sdp_enabled(),
    )
    variables = [f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(_VARIABLES)]
    return " ".join([*map(str, switches), *variables])


@functools.cache
def _code() -> str:
    """Versions of the libraries, and our own code as it is."""
    versions = [f"{name} {_version(name)}" for name in _LIBRARIES]
    root = Path(__file__).parents[2]
    own = [path.read_bytes() for pattern in _OWN_CODE for path in sorted(root.glob(pattern))]
    return " ".join([*versions, hashlib.sha256(b"\0".join(own)).hexdigest()[:16]])


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
