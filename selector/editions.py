"""Which stored study a renewal searches in: one for each state of the data."""

from __future__ import annotations

from dataclasses import replace

from selector.errors import InputError
from selector.preflight import Prepared
from selector.records import Edition, StudyRow
from selector.registration import drift_since, weight_hashes
from selector.spec import StudySpec, from_plain, spec_sha256
from selector.spec.history import HistorySpec
from selector.store import Store


def edition_of(store: Store, prepared: Prepared) -> tuple[Edition, str]:
    """The edition for the data and the study file of now, and what there is to do in it.

    That is empty where its study stands as it was when it was last searched. An edition that is
    new is on record when this returns.
    """
    name, fingerprint = prepared.spec.name, prepared.dataset.summary.fingerprint
    known = _known(store, name)
    refused = ""
    for edition in reversed(known):
        if edition.fingerprint != fingerprint:
            continue
        study = store.study(edition.study)
        if study is None:
            return edition, "its study is not in the store"
        changes = _refused(store, study, prepared)
        if not changes:
            return edition, _to_do(study, prepared)
        refused = refused or changes
    number = known[-1].number + 1 if known else 1
    reason = "the first one" if not known else f"settings changed{refused}" if refused else _CHANGED
    while number > 1 and store.study(_study(name, number)) is not None:
        number += 1  # somebody gave a study of their own this name
    edition = Edition(name=name, number=number, study=_study(name, number), fingerprint=fingerprint)
    store.champions.add_edition(edition)
    return edition, reason


def as_edition(prepared: Prepared, edition: Edition, store: Store) -> Prepared:
    """The study as it is searched in this edition: its name, and earlier editions to start from."""
    return replace(prepared, spec=_spec(prepared.spec, edition, store))


_CHANGED = "the data changed"


def _known(store: Store, name: str) -> list[Edition]:
    """The editions so far; a study that was run before there was a renewal is the first one."""
    family = store.champions.family_of(name)
    if family != name:
        raise InputError(
            f"Study '{name}' is an edition of '{family}'. Renew that one: name: {family}."
        )
    known = list(store.champions.editions(name))
    study = store.study(name)
    if not known and study is not None:
        first = Edition(name=name, number=1, study=name, fingerprint=study.data.fingerprint)
        store.champions.add_edition(first)
        known.append(first)
    return known


def _study(name: str, number: int) -> str:
    return name if number == 1 else f"{name}.e{number}"


def _spec(spec: StudySpec, edition: Edition, store: Store) -> StudySpec:
    """The champion's edition comes first: its recipe is the one to beat."""
    others = [
        each.study
        for each in reversed(store.champions.editions(edition.name))
        if each.number != edition.number and store.study(each.study) is not None
    ]
    champion = store.champions.present(edition.name)
    if champion is not None and champion.study in others:
        others = list(dict.fromkeys([champion.study, *others]))
    stored = store.study(edition.study)
    history = from_plain(stored.spec).history if stored is not None else spec.history
    if stored is None and others:
        history = _with_earlier(spec.history, others)
    return spec.model_copy(update={"name": edition.study, "history": history})


def _with_earlier(asked: HistorySpec | None, earlier: list[str]) -> HistorySpec:
    """The earlier editions first, then the studies that the study file names."""
    if asked is None or asked.studies == "auto":
        return (asked or HistorySpec()).model_copy(update={"studies": tuple(earlier)})
    return asked.model_copy(update={"studies": tuple(dict.fromkeys([*earlier, *asked.studies]))})


def _refused(store: Store, study: StudyRow, prepared: Prepared) -> str:
    """The changes since a study was stored that a run of it would refuse, as lines."""
    spec = prepared.spec.model_copy(update={"name": study.name})
    drift = drift_since(
        store,
        study,
        spec,
        prepared.dataset.summary,
        weights=weight_hashes(spec, base=prepared.base),
    )
    lines = [line.strip() for line in (*drift.forbidden, *drift.doubtful)]
    return f" ({'; '.join(lines)})" if lines else ""


def _to_do(study: StudyRow, prepared: Prepared) -> str:
    """What the study file wants of a study beyond what it was when it was last searched."""
    stored = from_plain(study.spec)
    update = {"name": stored.name, "history": stored.history}
    now = prepared.spec.model_copy(update=update)
    return "" if spec_sha256(now) == study.spec_sha256 else "the study file changed"
