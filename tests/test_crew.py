"""How many workers a run has, where they sit, and how that is found out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from selector import crew
from selector.crew import hardest_recipes, place, processes_that_fit, seated, seats_of
from selector.environment import choose_devices, cores
from selector.errors import ProblemsError, UnavailableError
from selector.events import Event
from selector.preflight import Prepared, prepare
from selector.records import Seat
from selector.run import ignore
from selector.spec import parse_study
from selector.spec.schema import MemberSpec
from selector.training.prefix import HOLD_BYTES

STUDY = """\
name: seated
data: {source: "builtin:digits", limit: 200}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: toy:cnn
  freeze_depth: {int: [1, 4]}
  batch_size: [16, 32]
  image_size: [16, 24]
device: cpu
budget: {trials: 8}
"""


@pytest.fixture
def prepared(own_place: Path) -> Prepared:
    return prepare(parse_study(STUDY), base=own_place, observe=ignore)


def asking(prepared: Prepared, **keys: object) -> Prepared:
    spec = prepared.spec.model_copy(update=keys)
    return Prepared(spec, prepared.dataset, prepared.device, prepared.base)


def count(prepared: Prepared, *, trials_left: int = 8, **keys: object) -> int:
    return len(seats_of(asking(prepared, **keys), trials_left=trials_left, observe=ignore))


def test_one_worker_keeps_the_threads_that_torch_chose(prepared: Prepared) -> None:
    assert seats_of(prepared, trials_left=8, observe=ignore) == (Seat(number=0, device="cpu"),)


def test_the_larger_of_both_keys_counts(prepared: Prepared) -> None:
    assert count(prepared, workers=3) == 3
    assert count(prepared, trials_per_device=4) == 4
    assert count(prepared, workers=3, trials_per_device=2) == 3


def test_no_worker_is_started_without_a_trial_for_it(prepared: Prepared) -> None:
    assert count(prepared, workers=5, trials_left=2) == 2
    assert count(prepared, workers=5, trials_left=0) == 1
    assert count(prepared, trials_per_device="auto", trials_left=1) == 1


def test_seats_take_the_devices_in_turn_and_share_the_cores() -> None:
    seats = seated(3, [["cuda:0"], ["cuda:1"]], cores=8)

    assert [seat.device for seat in seats] == ["cuda:0", "cuda:1", "cuda:0"]
    assert [seat.threads for seat in seats] == [2, 2, 2]
    assert [seat.threads for seat in seated(3, [["cpu"]], cores=2)] == [1, 1, 1]


def test_what_fits_is_bounded_by_memory_and_by_cores() -> None:
    assert processes_that_fit(free_bytes=1000, bytes_each=100, cores=99) == 8
    assert processes_that_fit(free_bytes=1000, bytes_each=100, cores=4) == 4
    assert processes_that_fit(free_bytes=1000, bytes_each=900, cores=4) == 1
    assert processes_that_fit(free_bytes=1000, bytes_each=None, cores=4) == 1


def test_the_hardest_trials_train_most_on_the_most_pixels(prepared: Prepared) -> None:
    (recipe,) = hardest_recipes(prepared.spec, torch.device("cpu"))

    assert (recipe.freeze_depth, recipe.batch_size, recipe.image_size) == (1, 32, 24)


def test_what_frozen_stages_leave_counts_as_memory_where_some_may_be_frozen(
    prepared: Prepared,
) -> None:
    pixels = sum(prepared.dataset.summary.counts[name] for name in ("train", "validation"))
    pixels *= 24 * 24 * 3
    everything = parse_study(STUDY.replace("{int: [1, 4]}", "0"))

    assert pixels < crew._held_bytes(prepared) <= HOLD_BYTES
    assert crew._held_bytes(asking(prepared, search=everything.search)) == 0


def test_auto_measures_a_trial_in_a_process_of_its_own(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[dict[str, int | None]] = []

    def remembering(**known: int | None) -> int:
        measured.append(known)
        return 3

    monkeypatch.setattr(crew, "processes_that_fit", remembering)
    heard: list[Event] = []

    seats = seats_of(
        asking(prepared, trials_per_device="auto"), trials_left=8, observe=heard.append
    )

    assert len(seats) == 3
    ((bytes_each, free_bytes),) = [(m["bytes_each"], m["free_bytes"]) for m in measured]
    # A process with torch in it and a toy that trains: not less, and not the whole test suite.
    assert bytes_each is not None and free_bytes is not None
    assert 100e6 < bytes_each < 3e9 and bytes_each != free_bytes
    assert measured[0]["cores"] == cores()
    assert heard == []


def test_auto_and_cuda_take_every_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    both = (torch.device("cuda:0"), torch.device("cuda:1"))
    assert choose_devices("auto") == choose_devices("cuda") == both
    assert choose_devices("cuda:1") == (torch.device("cuda:1"),)
    assert choose_devices("cpu") == (torch.device("cpu"),)


def test_people_read_where_the_workers_sit() -> None:
    assert place(seated(2, [["cpu"]], cores=2)) == "cpu, 2 workers of 1 thread"
    assert place(seated(2, [["cpu"]], cores=8)) == "cpu, 2 workers of 4 threads"
    assert place((Seat(number=0, device="cpu"),)).startswith("cpu, ")


def test_seats_elsewhere_have_the_devices_name_and_nothing_of_this_machine(
    prepared: Prepared,
) -> None:
    far = asking(prepared, workers=3, device="cuda", executor=MemberSpec(name="ray"))
    seats = seats_of(far, trials_left=8, observe=ignore)
    assert seats == tuple(Seat(number=n, device="cuda") for n in range(3))
    assert len(seats_of(far, trials_left=2, observe=ignore)) == 2
    assert place(seats, executor="ray") == "ray, 3 workers"


def test_a_gpu_that_is_elsewhere_need_not_be_here(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has what the test wants it to lack")
    spec = parse_study(STUDY.replace("device: cpu", "device: cuda"))
    with pytest.raises(UnavailableError, match="Device 'cuda' is not here"):
        prepare(spec, base=tmp_path, observe=ignore)
    far = spec.model_copy(update={"executor": MemberSpec(name="ray")})
    assert prepare(far, base=tmp_path, observe=ignore).device == torch.device("cpu")


def test_mistakes_in_the_executor_are_found_with_the_others(tmp_path: Path) -> None:
    text = STUDY + "executor: {name: ray, adress: auto}\nsampler: tpee\n"
    with pytest.raises(ProblemsError) as caught:
        prepare(parse_study(text), base=tmp_path, observe=ignore)
    assert len(caught.value.problems) == 2
    assert "Did you mean 'address'" in str(caught.value)
    with pytest.raises(ProblemsError, match="Did you mean 'local'"):
        prepare(parse_study(STUDY + "executor: locale\n"), base=tmp_path, observe=ignore)
