"""Workers as Ray actors, wherever the cluster has room for them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field

from selector.errors import InputError, ProblemsError, UnavailableError
from selector.events import Observer, TrialEnded, WorkerNote
from selector.executors import base
from selector.executors.base import (
    RESTARTS,
    Died,
    Worker,
    nobody_asks,
    same_error,
    what_now,
    without_workers,
)
from selector.executors.child import Failed, Finished
from selector.executors.ray_actor import Actor, Began, GivenUp, Message
from selector.executors.ray_connection import (
    connected,
    environment,
    first_line,
    host_and_port,
    import_ray,
)
from selector.records import ProcessName, Seat
from selector.search.members import Options, read_options

if TYPE_CHECKING:
    from selector.spec import StudySpec

Result = TypeVar("Result")
Amount = Annotated[float, Field(gt=0, le=1024, allow_inf_nan=False)]

ROOM_SECONDS = 30.0  # a worker that found no room for so long is worth a word
_LOOK_SECONDS = 1.0
_NEXT_GRACE_SECONDS = 3.0  # on top of a worker's own, for its actor to say that it is done
# Where Ray ends an actor, as when its driver was killed, the worker's process notices it and hands
# its trial back; by default Ray would kill it in the middle of that.
_IN_ACTORS = {"RAY_kill_child_processes_on_worker_exit": "0"}


class RayOptions(Options):
    """Where the cluster is, and what each worker takes of it.

    `address` is `auto` (RAY_ADDRESS, or the cluster that this machine is a node of), HOST:PORT of
    its head, or `local`: a Ray of its own on this machine. Without `gpus_per_worker` a worker takes
    one GPU where the cluster has any.
    """

    address: str = "auto"
    cpus_per_worker: Amount = 1.0
    gpus_per_worker: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = "auto"


class Ray:
    """One Ray actor a seat; on a node that is lost it is started again on another one."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = read_options("executor", "ray", RayOptions, options)
        address = self._options.address
        if address not in ("auto", "local") and host_and_port(address) is None:
            raise InputError(
                f"executor 'ray': option 'address' is '{address}'. Allowed: auto, local, or "
                "HOST:PORT of the cluster's head, such as 10.0.0.1:6379."
            )

    def check(self, spec: StudySpec) -> None:
        """Raise for a study whose device is not Ray's to give, or where Ray is not installed."""
        problems = []
        if spec.device.startswith("cuda:"):
            problems.append(
                f"device: {spec.device} with executor 'ray': Ray gives every worker its GPU. Use "
                "device: auto or cuda."
            )
        if spec.device == "cuda" and self._options.gpus_per_worker == 0:
            problems.append(
                "device: cuda with gpus_per_worker: 0 of executor 'ray': its workers would see no "
                "GPU. Use device: auto, or give them a share, such as 0.5."
            )
        if spec.devices_per_trial != 1:
            problems.append(
                f"devices_per_trial: {spec.devices_per_trial} with executor 'ray' is not possible: "
                "a trial's devices have to be on one machine. Use executor: local on each."
            )
        if spec.trials_per_device != 1:
            problems.append(
                f"trials_per_device: {spec.trials_per_device} with executor 'ray': say it with a "
                "share of a GPU for each worker, such as gpus_per_worker: 0.5."
            )
        if problems:
            raise ProblemsError(problems)
        import_ray()

    def run(
        self,
        worker: Worker[Result],
        seats: Sequence[Seat],
        *,
        observe: Observer,
        died: Died = nobody_asks,
    ) -> tuple[Result, ...]:
        """Start an actor for every seat and watch them until all have ended."""
        with connected(self._options.address) as ray:
            room = self._room(ray)
            threads = max(1, int(self._options.cpus_per_worker))
            posts = [
                _Post(ray, room, worker, replace(seat, threads=threads), observe, died)
                for seat in seats
            ]
            try:
                for post in posts:
                    post.start()
                while live := [post for post in posts if post.events is not None]:
                    for post in _that_have_something(ray, live):
                        post.take_in()
                    for post in live:
                        post.say_if_there_is_no_room()
            finally:
                _stop(posts)
        results = [post.finished.result for post in posts if post.finished is not None]
        if not results:
            raise without_workers(posts[-1].last_death)
        return tuple(results)

    def _room(self, ray: Any) -> dict[str, float]:
        """What one actor takes of its node."""
        gpus = self._options.gpus_per_worker
        if gpus == "auto":
            gpus = 1.0 if ray.cluster_resources().get("GPU") else 0.0
        return {"num_cpus": self._options.cpus_per_worker, "num_gpus": gpus}


class _Post(Generic[Result]):
    """One seat, and the actor that holds it now."""

    def __init__(
        self,
        ray: Any,
        room: Mapping[str, float],
        worker: Worker[Result],
        seat: Seat,
        observe: Observer,
        died: Died,
    ) -> None:
        self.events: Any = None  # a generator of batches; None when there is no actor
        self.finished: Finished[Result] | None = None
        self.last_death = ""
        self._ray, self._room = ray, room
        self._worker, self._seat = worker, seat
        self._observe, self._died = observe, died
        self._deaths = 0

    def start(self) -> None:
        """Ask for an actor, on whichever node has room; it may come much later."""
        actor = self._ray.remote(Actor).options(
            **self._room,
            max_concurrency=2,  # it is told to stop while it runs
            max_restarts=0,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": _IN_ACTORS},
        )
        self._actor = actor.remote(environment())
        run = self._actor.run.options(num_returns="streaming")
        self._process: ProcessName | None = None
        self._asked_at: float | None = time.monotonic()
        self.events = run.remote(self._worker, self._seat)

    def take_in(self) -> None:
        """Pass on what has arrived; settle what becomes of an actor that is gone."""
        try:
            batch = self._ray.get(next(self.events))
        except StopIteration:  # stopped by nobody here: it was told so by the cluster
            self._settle("was stopped by Ray")
        except self._ray.exceptions.RayTaskError as error:
            raise _cannot_start(error) from None
        except self._ray.exceptions.RayError as error:
            if self._process is None:
                self._settle(f"found no way to start ({first_line(error)})")
            else:
                self._settle(f"was lost with its Ray actor on {self._process.host}")
        else:
            for message in batch:
                self._take(message)

    def say_if_there_is_no_room(self) -> None:
        """One line about a worker that waits for a node; how many there are is Ray's business."""
        if self._asked_at is None or time.monotonic() - self._asked_at < ROOM_SECONDS:
            return
        self._asked_at = None
        free = self._ray.available_resources()
        has = f"{free.get('CPU', 0):g} CPUs and {free.get('GPU', 0):g} GPUs"
        wants = f"{self._room['num_cpus']:g} CPUs and {self._room['num_gpus']:g} GPUs"
        self._note(f"waits for a node with room: it takes {wants}, free in the cluster are {has}.")

    def ask_to_stop(self) -> None:
        """Have the worker hand its trial back; one that has not begun is simply not started."""
        if self._process is None:
            self.kill()
        else:
            self._actor.stop.remote(base.GRACE_SECONDS)

    def ended(self) -> bool:
        """Whether the actor has nothing more to say; what it still says is thrown away."""
        if self.events is None:
            return True
        ready, _ = self._ray.wait([self.events], timeout=0.02)
        if not ready:
            return False
        try:
            self._ray.get(next(self.events))
        except (StopIteration, self._ray.exceptions.RayError):
            return True
        return False

    def kill(self) -> None:
        """End the actor, and the worker's process with it."""
        if self.events is not None:
            self.events = None
            self._ray.kill(self._actor, no_restart=True)

    def _take(self, message: Message) -> None:
        match message:
            case Began(process):
                self._gone()
                self._process, self._asked_at = process, None
            case Finished():
                self.finished = message
                self.kill()
            case GivenUp(last_death):
                self.last_death = last_death
                self._gone()
                self.kill()
            case Failed(exit_code, text):
                host = self._process.host if self._process else "its node"
                raise same_error(exit_code, f"Worker {self._seat.number} on {host}: {text}")
            case event:
                if isinstance(event, TrialEnded):
                    self._deaths = 0
                self._observe(event)

    def _settle(self, how: str) -> None:
        """The actor is gone, perhaps with its node: start another one, as long as it may."""
        self._gone()
        self.kill()
        self.last_death = how
        self._deaths += 1
        self._note(f"{how}; {what_now(self._deaths)}.")
        if self._deaths <= RESTARTS:
            self.start()

    def _gone(self) -> None:
        if self._process is not None:
            self._died(self._process)
            self._process = None

    def _note(self, text: str) -> None:
        self._observe(WorkerNote(worker=self._seat.number, text=text))


def _that_have_something(ray: Any, posts: Sequence[_Post[Any]]) -> list[_Post[Any]]:
    """The posts of which something has arrived; waits a little for the first."""
    by_events = {post.events: post for post in posts}
    ready, _ = ray.wait(list(by_events), num_returns=1, timeout=_LOOK_SECONDS)
    more, _ = ray.wait(list(by_events), num_returns=len(by_events), timeout=0)
    return [by_events[events] for events in dict.fromkeys([*ready, *more])]


def _stop(posts: Sequence[_Post[Any]]) -> None:
    """Tell all that still run to hand their trials back; kill who takes too long about it."""
    try:
        for post in posts:
            if post.events is not None:
                post.ask_to_stop()
        limit = time.monotonic() + base.GRACE_SECONDS + _NEXT_GRACE_SECONDS
        waiting = list(posts)
        while waiting and time.monotonic() < limit:
            waiting = [post for post in waiting if not post.ended()]
    finally:  # a second Ctrl-C ends the waiting
        for post in posts:
            post.kill()


def _cannot_start(error: BaseException) -> UnavailableError:
    cause = getattr(error, "cause", None) or error
    return UnavailableError(
        f"The cluster cannot run selector's workers: {type(cause).__name__}: {first_line(cause)} "
        "Every node needs the same version of selector and of what it trains with."
    )
