"""Workers as processes of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from selector.events import Observer
from selector.executors import base
from selector.executors.base import Died, Worker, nobody_asks, without_workers
from selector.executors.post import Post, stop, with_something
from selector.records import Seat

if TYPE_CHECKING:
    from selector.spec import StudySpec

Result = TypeVar("Result")


class Local:
    """One spawned process a seat: what it held, on the GPU too, is free when it ends."""

    def check(self, spec: StudySpec) -> None:
        """Every study that was checked can have its workers here."""

    def run(
        self,
        worker: Worker[Result],
        seats: Sequence[Seat],
        *,
        observe: Observer,
        died: Died = nobody_asks,  # noqa: ARG002 - on one machine everybody sees who is dead
    ) -> tuple[Result, ...]:
        """Start a process for every seat and watch them until all have ended."""
        posts = [Post(worker, seat, observe) for seat in seats]
        try:
            for post in posts:
                post.start()
            while live := [post for post in posts if post.process is not None]:
                for post in with_something(live)[0]:
                    post.take_in()
        finally:
            stop(posts, grace_seconds=base.GRACE_SECONDS)
        results = [post.finished.result for post in posts if post.finished is not None]
        if not results:
            raise without_workers(posts[-1].last_death)
        return tuple(results)
