"""What a network computes, as a list of operations, seen on a twin without weights.

A twin lives on torch's `meta` device: it has shapes but no values, so running it costs
milliseconds. Two runs with equal traces do the same operations on the same tensors in the same
order, which proves more than comparing numbers: blocks that start as zero cannot hide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from selector.backbones.weights import drawn_from

Operation = tuple[str, str, str]  # name, what it was given, what it gave


@dataclass(frozen=True, slots=True)
class Trace:
    """The operations that lead from an image to `result`, whose shape is `shape`."""

    operations: tuple[Operation, ...]
    result: str
    shape: tuple[int, ...]


@dataclass(slots=True)
class Call:
    """One call of a module: its only input and output where it has just one, and calls within."""

    name: str
    module: nn.Module
    given: Tensor | None
    gave: Tensor | None = None
    within: list[Call] = field(default_factory=list)


def twin(create: Callable[[], nn.Module]) -> nn.Module:
    """What `create` makes, without values, in eval mode."""
    with drawn_from(0):
        try:
            with torch.device("meta"):
                return create().eval()
        except NotImplementedError:
            # Some constructors compute with tensors, which needs values: make, then drop them.
            return create().to("meta").eval()


def image_on_meta(size: int) -> Tensor:
    """One image (1, 3, size, size) without values."""
    return torch.empty(1, 3, size, size, device="meta")


def trace(network: nn.Module, run: Callable[[Tensor], Tensor], *, image: Tensor) -> Trace:
    """The operations of `run(image)` on the parameters of `network`."""
    with _recording(network, image) as recorder:
        result = run(image)
    return recorder.trace(result)


def trace_until(network: nn.Module, layer: nn.Module, *, image: Tensor) -> Trace:
    """The operations of `network(image)` up to the input of `layer`, which runs once.

    A 1x1 convolution as last layer sees (batch, channels, 1, 1); its input is then flattened.
    """
    seen: list[Trace] = []

    def stop(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        x = given[0].flatten(1) if isinstance(layer, nn.Conv2d) else given[0]
        seen.append(recorder.trace(x))

    with _recording(network, image) as recorder:
        hook = layer.register_forward_pre_hook(stop)
        try:
            network(image)
        finally:
            hook.remove()
    if len(seen) != 1:
        raise ValueError(f"the last layer runs {len(seen)} times")
    return seen[0]


def calls(network: nn.Module, run: Callable[[Tensor], Tensor], *, image: Tensor) -> Call:
    """The tree of module calls that `run(image)` makes."""
    root = Call("", network, image)
    stack = [root]
    hooks: list[Any] = []

    def enter(name: str) -> Callable[..., None]:
        def before(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            single = len(given) == 1 and not named and isinstance(given[0], Tensor)
            call = Call(name, module, given[0] if single else None)
            stack[-1].within.append(call)
            stack.append(call)

        return before

    def leave(_: nn.Module, __: Any, gave: Any) -> None:
        stack.pop().gave = gave if isinstance(gave, Tensor) else None

    for name, module in network.named_modules():
        if name:
            hooks.append(module.register_forward_pre_hook(enter(name), with_kwargs=True))
            hooks.append(module.register_forward_hook(leave))
    try:
        with torch.no_grad():
            root.gave = run(image)
    finally:
        for hook in hooks:
            hook.remove()
    return root


def is_chain(steps: Sequence[Call], given: Tensor | None, gave: Tensor | None) -> bool:
    """Whether each step takes exactly what the one before gave, from `given` to `gave`."""
    if not steps or given is None or gave is None:
        return False
    x: Tensor | None = given
    for step in steps:
        if x is None or step.given is not x:
            return False
        x = step.gave
    return x is gave


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, names: dict[int, str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._names = names
        self._kept: list[Tensor] = []  # an id is only unique while its tensor lives
        self._operations: list[Operation] = []

    def trace(self, result: Tensor) -> Trace:
        return Trace(tuple(self._operations), self._input(result), tuple(result.shape))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = tree_map(self._input, (args, kwargs or {}))
        result = func(*args, **(kwargs or {}))
        gave = tree_map(self._output, result)
        self._operations.append((str(func), repr(given), repr(gave)))
        return result

    def _input(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return self._names.get(id(value), f"outside-{id(value)}")

    def _output(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if id(value) not in self._names:
            self._names[id(value)] = f"%{len(self._kept)}"
            self._kept.append(value)
        return self._names[id(value)]


@contextmanager
def _recording(network: nn.Module, image: Tensor) -> Iterator[_Recorder]:
    names = {id(tensor): name for name, tensor in network.named_parameters()}
    names |= {id(tensor): name for name, tensor in network.named_buffers()}
    names[id(image)] = "image"
    recorder = _Recorder(names)
    with torch.no_grad(), recorder:
        yield recorder
