"""Rank 0's side: starts the other ranks, gives them orders, hears when one is gone."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path

import torch
import torch.distributed as dist

from selector.errors import RankLostError, TrialFailedError, UnavailableError
from selector.executors.post import how_it_died
from selector.interrupts import signals_wait
from selector.preflight import Prepared
from selector.ranks.member import main
from selector.ranks.orders import Failed, Order, Post, Word
from selector.records import EpochResult, Seat
from selector.search.context import Training
from selector.search.recipe import weights_of
from selector.spec import to_plain
from selector.training import trains_batch_norm
from selector.training.portions import release
from selector.training.ranks import Ranks

MEET_SECONDS = 1800.0  # for the slowest rank to import, decode and read what is frozen
LAST_WORDS_SECONDS = 5.0  # after an exchange failed, for who caused it to say so or to be gone

_spawn = multiprocessing.get_context("spawn")


class Team:
    """Trains networks on all devices of a seat; the other ranks start with the first of them.

    They live from one trial to the next. Whatever breaks a training off in the middle ends them,
    and the next trial has new ones. Close it, or they outlive their work.
    """

    def __init__(self, prepared: Prepared, seat: Seat) -> None:
        self._prepared = prepared
        self._seat = seat
        self._others: list[_Other] = []
        self._folder: Path | None = None

    @property
    def size(self) -> int:
        """How many processes train together."""
        return 1 + len(self._seat.others)

    def __call__(self, training: Training) -> Generator[EpochResult, None, None]:
        """The epochs of a training, as rank 0 sees them: they hold for all.

        Where one has no room for its part of a batch, all begin again with smaller parts. Later
        than in the first epoch that ends the trial, as does whatever else stops one of them:
        TrialFailedError with its cause. Raises RankLostError when a rank is killed or stays away.
        """
        begun, done = training.network.trained_state(), 0
        while True:
            try:
                with closing(self._together(training)) as epochs:
                    for result in epochs:
                        yield result
                        done += 1
                return
            except TrialFailedError as failure:
                if failure.cause != "oom" or done or not self._lessen(training):
                    raise
            training.network.load_trained_state(begun)
            release(training.context.device)

    def _lessen(self, training: Training) -> bool:
        """Have less go through the network at once; False where it is the least already."""
        portion = training.context.portions.of(training.recipe).steps
        part = -(-training.recipe.batch_size // self.size)
        smallest = 2 if trains_batch_norm(training.network) else 1
        return portion.halve(min(part, portion.limit or part), smallest=smallest)

    def _together(self, training: Training) -> Generator[EpochResult, None, None]:
        with self._ended_by_what_breaks_off():
            self._gather()
            self._tell(_order(training))
            ranks = Ranks(0, self.size, meet=self._meet)
            with closing(training.epochs(ranks)) as epochs:
                self._tell(Word.NEXT)
                for result in epochs:
                    yield result
                    self._tell(Word.NEXT)
            self._leave()

    @contextmanager
    def _ended_by_what_breaks_off(self) -> Iterator[None]:
        """End the other ranks where a training breaks off in the middle; say what came first."""
        try:
            yield
        except GeneratorExit:  # between two epochs
            self._leave()
            raise
        except TrialFailedError as failure:
            # Only this is found out when all have finished the epoch.
            if failure.cause == "non_finite":
                self._leave()
            else:
                self.close()
            raise
        except (RuntimeError, OSError) as error:
            found = self._cause(error)
            self.close()
            if found is None:
                raise
            raise found from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the other ranks, wherever they are; they hold nothing that would be lost."""
        with signals_wait():
            for other in self._others:
                other.end()
            self._others.clear()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None
                if dist.is_initialized():
                    dist.destroy_process_group()

    def _gather(self) -> None:
        """Have all ranks there."""
        if self._others and all(other.process.is_alive() for other in self._others):
            return
        self.close()
        if dist.is_initialized():
            raise UnavailableError(
                "devices_per_trial above 1 needs torch's default process group, and this program "
                "has opened one for itself. Call dist.destroy_process_group() first."
            )
        prepared, seat = self._prepared, self._seat
        self._folder = Path(tempfile.mkdtemp(prefix="selector-ranks-"))
        posts = [
            Post(
                rank=rank,
                size=self.size,
                device=device,
                threads=seat.threads or 1,
                spec=to_plain(prepared.spec),
                folder=str(prepared.base),
                fingerprint=prepared.dataset.summary.fingerprint,
                rendezvous=str(self._folder / "rendezvous"),
            )
            for rank, device in enumerate((seat.device, *seat.others))
        ]
        for post in posts[1:]:
            with signals_wait():  # between a start and its entry here, nobody would end it
                self._others.append(_Other(post))
        self._meet(word=None)
        if seat.device.startswith("cuda"):
            torch.cuda.set_device(seat.device)
        posts[0].open_group()

    def _meet(self, *, word: Word | None = Word.MEET) -> None:
        """Wait until every rank has said that it is here, then tell all of them."""
        limit = time.monotonic() + MEET_SECONDS
        awaited = {other.pipe: other for other in self._others}
        while awaited:
            ready = wait(list(awaited), timeout=max(0.0, limit - time.monotonic()))
            if not ready:
                raise awaited.popitem()[1].lost("was not ready in time")
            for pipe in ready:
                assert isinstance(pipe, Connection)
                awaited.pop(pipe).require_here()
        if word is not None:
            self._tell(word)

    def _tell(self, order: Order | Word) -> None:
        for other in self._others:
            other.pipe.send(order)

    def _leave(self) -> None:
        """End the trial for the others; one that is gone by now is missed by the next trial."""
        with suppress(OSError):
            self._tell(Word.LEAVE)

    def _cause(self, error: Exception) -> RankLostError | TrialFailedError | None:
        """What came first among the other ranks, None where nothing happened to them."""
        limit = time.monotonic() + LAST_WORDS_SECONDS
        while True:
            for other in self._others:
                other.listen()
            killed = [other for other in self._others if other.killed]
            if killed:
                return killed[0].lost()
            failures = [other.failed for other in self._others if other.failed is not None]
            # All of them end when one does, and the first one knows why.
            if failures and (len(failures) == len(self._others) or time.monotonic() >= limit):
                first = min(failures, key=lambda failed: failed.at)
                return TrialFailedError(first.cause, first.text)
            if time.monotonic() >= limit:
                if not (self._others and _is_of_group(error)):
                    return None
                return self._others[0].lost("or another one does not answer")
            time.sleep(0.02)


class _Other:
    """Another rank: its process, and the pipe that only the two of us hold."""

    def __init__(self, post: Post) -> None:
        self.failed: Failed | None = None
        self._post = post
        self.pipe, orders = _spawn.Pipe()
        self.process = _spawn.Process(
            target=main, args=(post, orders), name=f"selector-rank-{post.rank}", daemon=True
        )
        self.process.start()
        orders.close()

    @property
    def killed(self) -> bool:
        """Whether it is gone without a word."""
        return self.failed is None and not self.process.is_alive()

    def require_here(self) -> None:
        """Take in that it is here; raises RankLostError or TrialFailedError where it is not."""
        try:
            word = self.pipe.recv()
        except (EOFError, OSError):
            raise self.lost() from None
        if isinstance(word, Failed):
            self.failed = word
            raise TrialFailedError(word.cause, word.text)
        assert word is Word.HERE, word

    def listen(self) -> None:
        """Take in its last word, if that has come."""
        with suppress(EOFError, OSError):
            while self.failed is None and self.pipe.poll():
                word = self.pipe.recv()
                self.failed = word if isinstance(word, Failed) else None

    def lost(self, how: str | None = None) -> RankLostError:
        """The error that this rank is missing."""
        if how is None:
            self.process.join()
            how = how_it_died(self.process.exitcode)
        return RankLostError(
            f"The process for {self._post.device}, one of {self._post.size} that train a trial "
            f"together, {how}. The trial is kept, and goes on when it is handed out again."
        )

    def end(self) -> None:
        """Kill it: it waits for signals of no other kind."""
        self.process.kill()
        self.process.join()
        self.process.close()
        self.pipe.close()


def _is_of_group(error: Exception) -> bool:
    """Whether an exchange between the ranks failed; Gloo's are plain errors that name it."""
    return isinstance(error, dist.DistError) or "/gloo/" in str(error)


def _order(training: Training) -> Order:
    context, recipe, keeper = training.context, training.recipe, training.keeper
    return Order.of(
        recipe,
        keeper.start if keeper is not None else None,
        weights=weights_of(context.spec, recipe.backbone, base=context.base),
        fold=training.data.fold,
        limit=context.portions.of(recipe).steps.limit,
    )
