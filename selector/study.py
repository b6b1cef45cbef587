"""The Python handle on a stored study: its results as pandas frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from selector import reporting
from selector.errors import NoCandidateError
from selector.records import Leaderboard, LeaderboardRow, StudyRow, TrialCounts
from selector.reporting import flat
from selector.reporting.ranking import rank
from selector.settings import load_settings
from selector.store import Store, safe_url

if TYPE_CHECKING:
    import pandas as pd

    from selector.reporting.base import FlatTable


class Study:
    """A study in a store. It holds no results: every call reads what the store has by then."""

    def __init__(self, name: str, store: Store) -> None:
        self.name = name
        self._store = store

    @classmethod
    def load(cls, name: str, store: str | None = None) -> Self:
        """The study `name` of the store at the URL `store`, by default that of SELECTOR_STORE.

        Raises InputError for an unknown name, UnavailableError where the store is out of reach.
        """
        opened = Store.open(store or load_settings().store)
        opened.require_study(name)
        return cls(name, opened)

    def __repr__(self) -> str:
        return f"Study({self.name!r}, store={safe_url(self._store.url)!r})"

    def close(self) -> None:
        """Give the connections to the store back."""
        self._store.close()

    # --- frames ---------------------------------------------------------------------------------

    def leaderboard(self, metric: str | None = None) -> pd.DataFrame:
        """The candidates in rank order by `metric`, by default the study's own.

        One row a candidate, indexed by rank: trial, backbone, score with its 95% interval, whether
        it is tied with the best, costs, then `param.` and `metric.` columns.
        """
        return _frame(flat.of_leaderboard(self.ranking(metric))).set_index("rank")

    def trials(self) -> pd.DataFrame:
        """Every trial in every state, with `param.` and `metric.` columns."""
        return _frame(flat.of_trials(self._store.trials(self.name)))

    def epochs(self) -> pd.DataFrame:
        """Every epoch of every finished trial: losses, score, learning rate, seconds."""
        return _frame(flat.of_epochs(self._store.epochs(self.name)))

    def class_scores(self) -> pd.DataFrame:
        """Precision, recall, F1 and support of each class of each candidate."""
        scores = (
            (number, score)
            for number in self._store.predictions(self.name)
            for score in self._store.class_scores(self.name, number)
        )
        return _frame(flat.of_class_scores(scores))

    def runs(self) -> pd.DataFrame:
        """The invocations of `selector run` on this study."""
        return _frame(flat.of_runs(self._store.runs(self.name)))

    def predictions(self, trial: int) -> pd.DataFrame:
        """One candidate's validation log-probabilities.

        (n_validation, n_classes): a row a sample, by its id; a column a class, by its name.
        """
        import pandas as pd

        data = self.row.data
        return pd.DataFrame(
            self._store.log_probabilities(self.name, trial),
            index=pd.Index(data.validation_ids, name="sample"),
            columns=pd.Index(data.class_names, name="class"),
        )

    # --- values ---------------------------------------------------------------------------------

    @property
    def row(self) -> StudyRow:
        """The study itself: metric, resolved study file, data."""
        return self._store.require_study(self.name)

    @property
    def counts(self) -> TrialCounts:
        """How many trials are in each state."""
        return self._store.counts(self.name)

    @property
    def best(self) -> LeaderboardRow:
        """The first of the leaderboard; NoCandidateError where no trial is complete."""
        candidates = self.ranking().candidates
        if not candidates:
            raise NoCandidateError(
                f"Study '{self.name}' has no complete trial yet; run it first: selector run."
            )
        return candidates[0]

    def ranking(self, metric: str | None = None) -> Leaderboard:
        """The leaderboard as a record, as the reports use it."""
        return rank(self._store, self.name, metric=metric)

    def report(self, fmt: str = "table", *, metric: str | None = None, width: int = 100) -> str:
        """The leaderboard as text, as `selector report` prints it."""
        return reporting.render(self.ranking(metric), fmt, width=width)


def _frame(table: FlatTable) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame.from_records(list(table.rows), columns=list(table.columns))
