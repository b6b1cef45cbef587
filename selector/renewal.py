"""One scheduled run, read from top to bottom: new data? search, challenge, and perhaps a swap.

A family is what one study file makes over time: an edition (a stored study) for each state of its
data, and one champion, the bundle that is shipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from selector import data, editions
from selector.announcing import announce_swap
from selector.errors import ConflictError
from selector.events import DataProgress, EditionBegun, Observer
from selector.identity import who
from selector.predict import BundlePredictor, candidate_of, open_bundle
from selector.preflight import Prepared, load_prepared
from selector.promotion import bundle_of, exported, require_bundle
from selector.records import (
    Challenge,
    Champion,
    Decision,
    Edition,
    Floats,
    NewChampion,
    Promotion,
    Renewal,
    StudyRow,
    TrialRow,
)
from selector.reporting.champions import challenge_words
from selector.run import as_typed, ignore, run_prepared
from selector.selection.challenge import Mask, challenge, is_better, too_few
from selector.settings import load_settings
from selector.store import Store
from selector.turns import turn

_Action = Literal["first", "swap", "kept", "undecided"]


def renew(
    study_file: str | Path,
    *,
    overrides: Sequence[str] = (),
    store: str | None = None,
    observe: Observer = ignore,
    accept: bool = False,
) -> Renewal:
    """Search again where the data or the study file changed, and swap the champion if it lost.

    The first call is an ordinary run whose pick becomes the champion. A later one on the same data
    does nothing. One on other data searches in a new edition of the study, with the earlier ones as
    a warm start, and replaces the champion only by a challenger that is better beyond noise on the
    new validation samples. The sealed test split is not read. With `accept`, a challenger that
    cannot be compared with the champion replaces it all the same.

    Raises what `run` raises, ParityError where the challenger's export does not pass the gate,
    InputError where the champion's bundle is damaged, ConflictError where somebody else changed the
    champion meanwhile; in all cases the champion stays.
    """
    path = Path(study_file)
    prepared = load_prepared(path, overrides=overrides, observe=observe)
    name = prepared.spec.name
    with Store.open(store or load_settings().store) as opened, turn(opened, name) as held:
        if isinstance(held, str):
            present = opened.champions.present(name)
            return Renewal(name=name, outcome="busy", reason=held, champion=present)
        decisions = opened.champions.decisions(name)
        if decisions:
            require_bundle(decisions[-1].champion)  # before hours of search
        edition, changes = editions.edition_of(opened, prepared)
        if not changes and (done := _unchanged(opened, edition, decisions, accept=accept)):
            return done
        observe(
            EditionBegun(study=edition.study, edition=edition.number, reason=changes or "goes on")
        )
        searched = editions.as_edition(prepared, edition, opened)
        command = as_typed("renew", path, overrides)
        run_prepared(searched, opened, command=command, observe=observe)
        case = _Case(opened, searched, edition, decisions, held.token, observe)
        return case.decided(accept=accept)


def _unchanged(
    store: Store, edition: Edition, decisions: Sequence[Promotion], *, accept: bool
) -> Renewal | None:
    """Why there is nothing to do on unchanged data; None where there is."""
    made = [each for each in decisions if each.decision.action not in ("by_hand", "rollback")]
    if not made or made[-1].decision.study != edition.study:
        return None
    run = store.runs(edition.study)[-1]
    if run.ended_at is None or run.status != "complete" or run.ended_at > made[-1].at:
        return None  # it was interrupted, or has candidates that nobody has looked at
    last = made[-1].decision
    open_still = last.action == "undecided" and made[-1] is decisions[-1]
    if accept and open_still:
        return None
    reason = "the data is unchanged, so nothing was searched and nothing swapped"
    if open_still:
        reason += f". Still undecided: {last.reason}. {_ways_out(last.study, last.trial)}"
    return Renewal(
        name=edition.name,
        outcome="unchanged",
        reason=reason,
        edition=edition.study,
        champion=decisions[-1].champion,
    )


@dataclass(frozen=True, slots=True)
class _Case:
    """A search that has ended, and the champion that its pick is held against."""

    store: Store
    prepared: Prepared
    edition: Edition
    decisions: Sequence[Promotion]
    token: str
    observe: Observer

    def decided(self, *, accept: bool) -> Renewal:
        """Compare, export and put on record what is to be done."""
        study = self.store.require_study(self.edition.study)
        finals = self.store.finals(study.name)
        searched = [study.name] if finals is None else [study.name, finals.name]
        if any(self.store.counts(name).running for name in searched):
            raise ConflictError(
                f"Study '{study.name}' still runs elsewhere, so nothing was decided. "
                "Renew again when it has ended."
            )
        pick = candidate_of(self.store, study.name)
        if not self.decisions:
            return self._record(pick, "first", "there was none before")
        champion = self.decisions[-1].champion
        if (champion.study, champion.trial) == (study.name, pick.number):
            return self._record(pick, "kept", "the champion is still the pick")
        predictor = open_bundle(bundle_of(champion))
        hindrance = _other_classes(predictor, study)
        if hindrance is None:
            unknown = self._unknown_to(champion)
            hindrance = too_few(study, unknown)
        if hindrance is not None:
            if accept:
                return self._record(pick, "swap", f"accepted by hand although {hindrance}")
            left = self._record(pick, "undecided", hindrance)
            return replace(left, reason=f"{hindrance}. {_ways_out(study.name, pick.number)}")
        found = self._challenge(champion, predictor, pick, unknown=unknown)
        if is_better(found):
            return self._record(pick, "swap", _said(found), challenge=found)
        return self._record(pick, "kept", _said(found), challenge=found)

    def _challenge(
        self, champion: Champion, predictor: BundlePredictor, pick: TrialRow, *, unknown: Mask
    ) -> Challenge:
        study = self.store.require_study(self.edition.study)
        predictions = dict(self.store.predictions(study.name))
        said = self._predicted(predictor)
        self.store.champions.record_predictions(study.name, champion, said)
        return challenge(study, predictions, said, pick=pick.number, unknown=unknown)

    def _predicted(self, predictor: BundlePredictor) -> Floats:
        """What the champion says of the validation images, (n_validation, n_classes)."""
        images = data.decode_split(
            data.without_test(self.prepared.dataset),
            "validation",
            predictor.preprocessing,
            cache=load_settings().cache,
            progress=lambda done, total, label: self.observe(
                DataProgress(done=done, total=total, label=label)
            ),
        )
        names = predictor.classifier.class_names
        order = [names.index(name) for name in self.prepared.dataset.class_names]
        found: Floats = predictor.classifier.log_probabilities(images.images)[:, order]
        return found

    def _unknown_to(self, champion: Champion) -> Mask:
        """Which validation samples the champion was not trained on, (n_validation,)."""
        known = self.store.champions.trained_on(champion)
        marks = data.marks_of(self.prepared.dataset, "validation")
        return np.array([known.isdisjoint(each) for each in marks], dtype=bool)

    def _record(
        self,
        pick: TrialRow,
        action: _Action,
        reason: str,
        *,
        challenge: Challenge | None = None,
    ) -> Renewal:
        """Put on record what is to be done; a new champion passes the gate before."""
        study, family = self.edition.study, self.edition.name
        before = self.decisions[-1].champion if self.decisions else None
        champion: Champion | NewChampion = (
            exported(self.store, family, study, pick, base=self.prepared.base)
            if action in ("first", "swap")
            else self.decisions[-1].champion
        )
        done = self.store.champions.decide(
            family,
            Decision(
                action=action,
                study=study,
                trial=pick.number,
                reason=reason,
                who=who(),
                challenge=challenge,
            ),
            after=len(self.decisions),
            champion=champion,
            token=self.token,
        )
        if done.champion != before:
            announce_swap(self.prepared, done.champion, before, reason=reason, observe=self.observe)
        return Renewal(
            name=family,
            outcome=action,
            reason=reason,
            edition=study,
            champion=done.champion,
            challenge=challenge,
        )


def _ways_out(study: str, trial: int) -> str:
    return (
        f"To swap all the same: selector promote {study} --trial {trial}, "
        "or selector renew FILE --accept"
    )


def _other_classes(predictor: BundlePredictor, study: StudyRow) -> str | None:
    """How the classes of the data differ from the champion's; None where they do not."""
    old, new = set(predictor.classifier.class_names), set(study.data.class_names)
    if old == new:
        return None
    parts = [
        f"{verb} {', '.join(sorted(names))}"
        for verb, names in (("gained", new - old), ("lost", old - new))
        if names
    ]
    return (
        f"the classes changed ({'; '.join(parts)}), so champion and challenger have no score in "
        "common"
    )


def _said(found: Challenge) -> str:
    how = "is better" if is_better(found) else "is not better"
    return f"the challenger {how} beyond noise: {challenge_words(found)}"
