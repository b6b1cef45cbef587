"""The files of the cache: filled once, verified, bounded, and never trusted when in doubt."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import torch

from selector.training.cache import CutCost, loading_pays
from selector.training.cache.entries import ROWS
from selector.training.cache.quota import SPARE_BYTES
from selector.training.mapped import MappedRows
from selector.training.prefix import ComputedPrefix, hold

from .conftest import (
    BYTES,
    SPLIT,
    N,
    Watched,
    assert_right,
    computed_of,
    entry_bytes,
    make_named_split,
    make_network_of,
    opened,
)

# --- filling ------------------------------------------------------------------------------------


def test_one_pass_fills_every_depth_that_the_study_can_ask_for(tmp_path):
    watched = Watched(tmp_path)
    for depth in (2, 1, 3, 4, 5):
        assert_right(opened(watched, depth), depth)
    assert watched.outcomes == ["filled", "hit", "hit", "hit", "hit"]
    assert len(watched.entries) == 5


def test_depths_outside_the_study_are_not_computed(tmp_path):
    watched = Watched(tmp_path, depths=(2, 4))
    opened(watched, 2)
    assert len(watched.entries) == 2


def test_filling_runs_each_stage_once_for_all_cuts(tmp_path):
    network, calls = make_network_of("toy:cnn", 1), []
    for stage in network.backbone.stages:
        stage.register_forward_hook(lambda *_: calls.append(1))
    Watched(tmp_path).open(network, SPLIT)
    assert len(calls) == 5


def test_filling_leaves_the_network_as_it_was(tmp_path):
    network = make_network_of("toy:cnn", 2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    Watched(tmp_path).open(network, SPLIT)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_another_split_is_another_entry(tmp_path):
    watched, other = Watched(tmp_path), make_named_split(N, seed=5)
    assert_right(opened(watched, 3), 3)
    assert_right(opened(watched, 3, other), 3, other)
    assert watched.outcomes == ["filled", "filled"]


def test_pixels_that_nobody_named_are_not_cached(tmp_path):
    watched = Watched(tmp_path)
    assert opened(watched, 3, dataclasses.replace(SPLIT, content="")) is None
    assert watched.uses == []


def test_trained_stages_never_answer_for_frozen_ones(tmp_path):
    watched, network = Watched(tmp_path), make_network_of("toy:cnn", 3)
    watched.open(network, SPLIT)
    with torch.no_grad():
        network.backbone.stages[1][0].weight.add_(0.1)
    stored = watched.open(network, SPLIT)
    assert watched.outcomes == ["filled", "filled"]
    held = hold(computed_of(network, SPLIT), limit_bytes=2**30)
    assert torch.equal(stored.features(torch.arange(N)), held.features(torch.arange(N)))


def test_rows_are_read_in_the_order_of_the_file_where_memory_is_short(tmp_path):
    computed = computed_of(make_network_of("toy:cnn", 3), SPLIT)
    cache = Watched(tmp_path).cache
    roomy = cache.open(computed, SPLIT, resident_bytes=2**30)
    short = cache.open(computed, SPLIT, resident_bytes=0)
    assert isinstance(short.views[0], MappedRows)
    assert short.views[0].sequential and not roomy.views[0].sequential
    indices = torch.tensor([7, 0, 7, 11, 3])
    assert torch.equal(short.features(indices), roomy.features(indices))


def test_rows_read_ahead_are_the_same_rows_in_the_same_order(tmp_path):
    stored = opened(Watched(tmp_path), 3)

    class Ahead(MappedRows):
        prefetched = True

    ahead = dataclasses.replace(stored, views=(Ahead(stored.views[0].rows, True, False),))
    batches = torch.arange(N).flip(0).split(5)
    for one, other in zip(ahead.stream(batches), stored.stream(batches), strict=True):
        assert torch.equal(one, other)


# --- what is worth keeping ----------------------------------------------------------------------


def cost(**changes) -> CutCost:
    return CutCost(
        **({"cut": 1, "bytes": 8, "compute_seconds": 2.0, "read_seconds": 1.0} | changes)
    )


def test_loading_pays_where_it_is_faster_than_computing():
    assert loading_pays(cost())
    assert not loading_pays(cost(read_seconds=2.0))
    assert cost().saved_per_byte == 1 / 8


def test_costs_are_measured_and_grow_with_the_depth(tmp_path):
    seen: dict[int, CutCost] = {}
    watched = Watched(tmp_path, admit=lambda cost: bool(seen.setdefault(cost.cut, cost)))
    opened(watched, 2)
    assert sorted(seen) == [1, 2, 3, 4, 5]
    assert all(0 < found.read_seconds < 1 for found in seen.values())
    times = [seen[cut].compute_seconds for cut in sorted(seen)]
    assert times == sorted(times)
    assert seen[2].bytes == pytest.approx(BYTES[2] * 4, abs=16)


def test_a_cut_that_does_not_pay_is_not_kept_and_not_tried_again(tmp_path):
    calls = []
    watched = Watched(tmp_path, admit=lambda cost: cost.cut != 1)
    network = make_network_of("toy:cnn", 1)
    network.backbone.stages[0].register_forward_hook(lambda *_: calls.append(1))
    assert watched.open(network, SPLIT) is None
    assert watched.open(network, SPLIT) is None
    assert len(calls) == 1
    assert watched.outcomes == ["declined", "declined"]
    assert opened(watched, 2) is not None
    assert watched.outcomes[-1] == "hit"


def test_nothing_is_left_of_a_pass_that_kept_nothing(tmp_path):
    watched = Watched(tmp_path, admit=lambda cost: False)
    assert opened(watched, 3) is None
    assert watched.used_bytes == 0
    assert watched.entries == []


def test_a_pass_that_keeps_nothing_ends_after_its_first_batches(tmp_path):
    split, calls = make_named_split(64 * 4), []
    network = make_network_of("toy:cnn", 2)
    network.backbone.stages[0].register_forward_hook(lambda *_: calls.append(1))
    assert Watched(tmp_path, admit=lambda cost: False).open(network, split) is None
    assert len(calls) == 2


def test_depths_nobody_asked_for_yet_push_nothing_out(tmp_path):
    about = 2000
    room = entry_bytes(3) + entry_bytes(5) + 2 * about
    watched = Watched(tmp_path, depths=(5,), quota_bytes=room)
    opened(watched, 5)
    watched = Watched(tmp_path, quota_bytes=room)
    opened(watched, 3)
    assert opened(watched, 5) is not None
    assert watched.outcomes == ["filled", "hit"]
    assert len(watched.entries) == 2


# --- the quota ----------------------------------------------------------------------------------


def test_a_lowered_quota_is_kept_from_the_next_run_on(tmp_path):
    watched = Watched(tmp_path, depths=())
    splits = [make_named_split(N, seed=seed) for seed in range(3)]
    for split in splits:
        opened(watched, 3, split)
    for age, entry in enumerate(sorted(watched.entries)):
        os.utime(entry, (age, age))
    latest = max(watched.entries, key=lambda entry: entry.stat().st_mtime)

    one = Watched(tmp_path, depths=(), quota_bytes=watched.used_bytes // 2)
    assert one.entries == [latest]
    nothing = Watched(tmp_path, depths=(), quota_bytes=0)
    assert nothing.entries == []
    assert opened(nothing, 3, splits[0]) is None
    assert nothing.outcomes == ["declined"]


def test_what_was_not_used_for_longest_leaves_first(tmp_path):
    splits = [make_named_split(N, seed=seed) for seed in range(4)]
    watched = Watched(tmp_path, depths=(), quota_bytes=3 * (entry_bytes(3) + 1000))
    for age, split in enumerate(splits[:3]):
        opened(watched, 3, split)
        for entry in watched.entries:  # clocks of file systems are coarse
            if entry.stat().st_mtime > 10**6:
                os.utime(entry, (age, age))
    opened(watched, 3, splits[0])
    opened(watched, 3, splits[3])
    assert watched.used_bytes <= 3 * (entry_bytes(3) + 1000)
    watched.uses.clear()
    for number in (0, 2, 3, 1):
        assert_right(opened(watched, 3, splits[number]), 3, splits[number])
    assert watched.outcomes == ["hit", "hit", "hit", "filled"]


def test_what_is_larger_than_the_quota_is_not_kept_and_pushes_nothing_out(tmp_path):
    quota = entry_bytes(5) + 2000
    watched = Watched(tmp_path, depths=(), quota_bytes=quota)
    opened(watched, 5)
    assert opened(watched, 1) is None
    assert opened(watched, 5) is not None
    assert watched.outcomes == ["filled", "declined", "hit"]


def test_a_quota_of_nothing_keeps_nothing(tmp_path):
    watched = Watched(tmp_path, quota_bytes=0)
    assert opened(watched, 5) is None


def test_an_entry_thrown_out_stays_readable_for_who_has_it_open(tmp_path):
    watched = Watched(tmp_path, depths=(), quota_bytes=entry_bytes(3) + 1000)
    first = opened(watched, 3)
    opened(watched, 3, make_named_split(N, seed=8))
    assert len(watched.entries) == 1
    assert_right(first, 3)


def test_space_that_others_need_on_the_disk_is_left(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    full = usage._replace(free=SPARE_BYTES - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    assert opened(Watched(tmp_path), 3) is None


def test_room_is_asked_for_again_when_a_trial_wants_the_cut(tmp_path):
    # Depth 5 takes the room first, as the one that was asked for; 3 finds none as an extra.
    watched = Watched(tmp_path, depths=(3, 5), quota_bytes=entry_bytes(3) + 1500)
    opened(watched, 5)
    assert len(watched.entries) == 1
    assert_right(opened(watched, 3), 3)
    assert watched.outcomes == ["filled", "filled"]


def test_a_disk_that_has_room_again_is_used_again(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    watched = Watched(tmp_path, depths=())
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=SPARE_BYTES - 1))
        assert opened(watched, 3) is None
    assert_right(opened(watched, 3), 3)
    assert watched.outcomes == ["declined", "filled"]


# --- other processes ----------------------------------------------------------------------------


def _outcome(folder: str) -> list[str]:
    watched = Watched(Path(folder))
    assert_right(opened(watched, 3, make_named_split(300)), 3, make_named_split(300))
    return watched.outcomes


def test_processes_that_want_the_same_at_once_compute_it_once(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(3, mp_context=spawn) as pool:
        outcomes = list(pool.map(_outcome, [str(tmp_path)] * 3))
    assert sorted(outcomes) == [["filled"], ["hit"], ["hit"]]


class _Blocked(ComputedPrefix):
    """Says when it is in the middle of the images, and never gets any further."""

    def inputs(self, indices):
        if int(indices[0]) == 192:
            sys.stdout.write("in the middle\n")
            sys.stdout.flush()
            sys.stdin.read()
        return super().inputs(indices)


def _fill_until_killed(folder: str) -> None:
    split = make_named_split(300)
    computed = computed_of(make_network_of("toy:cnn", 3), split)
    blocked = _Blocked(computed.network, computed.images, computed.precision, computed.device)
    Watched(Path(folder)).cache.open(blocked, split, resident_bytes=2**30)


def test_nothing_of_a_killed_fill_is_trusted_and_nothing_stays(tmp_path):
    code = f"from {__name__} import _fill_until_killed as f; f({str(tmp_path)!r})"
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout.readline() == "in the middle\n"
    watched, split = Watched(tmp_path), make_named_split(300)
    assert watched.entries == []
    assert watched.used_bytes > 0
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert_right(opened(watched, 3, split), 3, split)
    assert watched.outcomes == ["filled"]
    assert not list(watched.folder.glob(".*"))


def test_leftovers_of_a_killed_fill_do_not_count_against_others(tmp_path):
    watched = Watched(tmp_path, depths=(), quota_bytes=entry_bytes(3) + 1000)
    leftover = watched.folder / ".tmp-abc" / "def"
    leftover.mkdir(parents=True)
    (leftover / ROWS).write_bytes(bytes(entry_bytes(3)))
    assert opened(watched, 3) is not None
    assert not leftover.exists()


def test_an_interrupted_fill_leaves_nothing(tmp_path):
    network = make_network_of("toy:cnn", 3)

    def stop(*_):
        raise KeyboardInterrupt

    network.backbone.stages[1].register_forward_hook(stop)
    watched = Watched(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        watched.open(network, SPLIT)
    assert watched.entries == []
    assert watched.used_bytes == 0


def test_being_used_keeps_an_entry_young(tmp_path):
    watched = Watched(tmp_path, depths=())
    opened(watched, 3)
    os.utime(watched.entries[0], (0, 0))
    opened(watched, 3)
    assert watched.entries[0].stat().st_mtime > time.time() - 3600
