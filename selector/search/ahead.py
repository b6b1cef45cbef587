"""Working ahead: the heads of linear probes to come are trained beside the one that is taken.

A probe costs little more than its share of reading the frozen outputs. So when a worker takes one,
it looks which further probes are certain to come, trains all of them epoch by epoch, and keeps
what they gave until their trials are taken. Those then run through the same objective as any
other, from what is kept: same bits, scores, reports and stops. A wrong guess costs time alone,
because results are found again by the whole recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice

from selector.backbones.base import STAGES
from selector.errors import TrialFailedError
from selector.events import HeadsFused
from selector.records import EpochResult, Recipe, Scalar, TrainingData
from selector.search.claims import Claims
from selector.search.context import StudyContext
from selector.search.recipe import recipe_of
from selector.tasks.base import StackedTask
from selector.training import Keeper, Network
from selector.training.heads import HeadEpoch, HeadStack, can_stack, group_of
from selector.training.memory import is_out_of_memory

HEADS = 32  # at most in one group
LOOK_AHEAD = 128  # trials, probes or not
GROUP_BYTES = 256 * 2**20  # of results that wait in one group
KEPT_BYTES = 2**30  # of results, frozen outputs and backbones in all groups


def working_ahead(claims: Claims, context: StudyContext) -> StudyContext:
    """The context with probes trained ahead of their trials, where the study allows it.

    Not under `budget.trial_time`: a trial's time must not be spent on others.
    """
    spec = context.spec
    if spec.training.fused_heads == "off" or spec.budget.trial_time is not None:
        return context
    return replace(context, epochs=Ahead(claims.foreseen, context))


class Ahead:
    """Gives the epochs of a trial: from those trained ahead, or of training it now."""

    def __init__(
        self, foreseen: Callable[[int], Sequence[Mapping[str, Scalar]]], context: StudyContext
    ) -> None:
        self._foreseen = foreseen
        self._context = context
        self._groups: list[_Group] = []  # the one used last stands last
        self._most = HEADS  # in one group, as far as memory has shown
        self._tried = 1  # in the latest group

    def __call__(
        self,
        network: Network,
        data: TrainingData,
        recipe: Recipe,
        keeper: Keeper | None = None,
    ) -> Generator[EpochResult, None, None]:
        """What training `network` alone yields; when it does, the network has those weights.

        `keeper` is given states of trials that train alone. A probe among others takes seconds:
        stopped, it starts again.
        """
        if keeper is not None and keeper.start is not None:
            with closing(self._context.alone(network, data, recipe, keeper)) as epochs:
                yield from epochs
            return
        untrained = network.trained_state() if network.freeze_depth == STAGES else {}
        done = 0
        try:
            with closing(self._together(network, data, recipe)) as epochs:
                for result in epochs:
                    yield result
                    done += 1
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            # A trial must not fail for its company, nor the next one meet the same.
            self._groups.clear()
            self._most = max(1, self._tried // 2)
            network.load_trained_state(untrained)
        if done == recipe.epochs:
            return
        # A state of epochs that were yielded already would not fit what the caller knows of them.
        keeper = keeper if done == 0 else None
        with closing(self._context.alone(network, data, recipe, keeper)) as epochs:
            yield from islice(epochs, done, None)

    def _together(
        self, network: Network, data: TrainingData, recipe: Recipe
    ) -> Generator[EpochResult, None, None]:
        """The epochs of a probe in a group; none where it can or need not be in one."""
        task, device = self._context.task, self._context.device
        if not (isinstance(task, StackedTask) and can_stack(network, recipe, task, device=device)):
            return
        group = self._group_with(recipe) or self._start(network, data, recipe, task)
        if group is None:
            return
        network.place(device)
        try:
            while (epoch := group.next_of(recipe)) is not None:
                network.load_trained_state(epoch.state)
                yield epoch.result
        finally:
            group.drop(recipe)
            self._groups = [each for each in self._groups if each.recipes]

    def _group_with(self, recipe: Recipe) -> _Group | None:
        for group in self._groups:
            if recipe in group.recipes:
                self._groups.remove(group)
                self._groups.append(group)
                return group
        return None

    def _start(
        self, network: Network, data: TrainingData, recipe: Recipe, task: StackedTask
    ) -> _Group | None:
        """A new group with the recipe in it; None where it would be the only one."""
        context = self._context
        bytes_of_head = _bytes_of(network, data, recipe)
        most = min(self._most, GROUP_BYTES // bytes_of_head)
        recipes = self._fitting(recipe, most) if most > 1 else [recipe]
        if len(recipes) < 2:
            return None
        self._tried = len(recipes)
        group = _Group(
            HeadStack(
                network,
                data,
                recipes,
                device=context.device,
                task=task,
                prefix_cache=context.prefix_cache,
            ),
            bytes_of_head=bytes_of_head,
        )
        self._groups.append(group)
        while len(self._groups) > 1 and sum(each.bytes for each in self._groups) > KEPT_BYTES:
            self._groups.pop(0)
        context.observe(HeadsFused(backbone=recipe.backbone, heads=len(recipes)))
        return group

    def _fitting(self, recipe: Recipe, most: int) -> list[Recipe]:
        """The recipe, and those foreseen that can be trained with it and are not trained yet."""
        context, shared = self._context, group_of(recipe)
        chosen = [recipe]
        for params in self._foreseen(LOOK_AHEAD):
            if len(chosen) >= most:
                break
            other = recipe_of(params, context.spec, epochs=recipe.epochs, device=context.device)
            known = other in chosen or any(other in group.recipes for group in self._groups)
            if group_of(other) == shared and not known:
                chosen.append(other)
        return chosen


class _Group:
    """A stack of heads, and the epochs that wait for their trials."""

    def __init__(self, stack: HeadStack, *, bytes_of_head: int) -> None:
        self._stack: HeadStack | None = stack
        self._waiting: dict[Recipe, list[HeadEpoch | TrialFailedError]] = {
            recipe: [] for recipe in stack.recipes
        }
        self._bytes_of_head = bytes_of_head

    @property
    def recipes(self) -> set[Recipe]:
        """Whose results are here, or will be."""
        return set(self._waiting)

    @property
    def bytes(self) -> int:
        """What results, frozen outputs and the backbone take in the end."""
        return len(self._waiting) * self._bytes_of_head + (self._stack.bytes if self._stack else 0)

    def next_of(self, recipe: Recipe) -> HeadEpoch | None:
        """The next epoch of a recipe, trained now unless it waits; None after the last.

        Raises the TrialFailedError that the recipe ends with.
        """
        waiting = self._waiting[recipe]
        if not waiting and self._stack is not None:
            self._advance(self._stack)
        if not waiting:
            return None
        epoch = waiting.pop(0)
        if isinstance(epoch, TrialFailedError):
            raise epoch
        return epoch

    def drop(self, recipe: Recipe) -> None:
        """Keep nothing more of a recipe."""
        self._waiting.pop(recipe, None)
        if self._stack is not None:
            self._stack.drop(recipe)
            self._release()

    def _advance(self, stack: HeadStack) -> None:
        try:
            results = stack.next_epoch()
        except BaseException:
            # Half an epoch is no state to go on from.
            self._stack = None
            self._waiting.clear()
            raise
        for recipe, epoch in results.items():
            self._waiting[recipe].append(epoch)
        self._release()

    def _release(self) -> None:
        """Let go of the frozen outputs when nothing is left to train."""
        if self._stack is not None and self._stack.finished:
            self._stack = None


def _bytes_of(network: Network, data: TrainingData, recipe: Recipe) -> int:
    """What one head takes in the end: the predictions and weights of all its epochs."""
    predictions = 4 * len(data.validation.labels) * len(data.class_names)
    weights = 4 * network.trained_parameter_count()
    # While it trains there are its gradients too, and what the optimizer remembers.
    return recipe.epochs * (predictions + weights) + 4 * weights
