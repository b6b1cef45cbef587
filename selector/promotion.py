"""How a candidate becomes the champion, by a renewal or by hand: exported first, then on record.

A process that dies in between leaves a bundle that nobody refers to, and the old champion in
place. The next promotion of the same candidate takes that bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from selector import data, exporters, uploads
from selector.errors import ConflictError, InputError, LimitsUnmetError
from selector.exporters import bundle
from selector.exporters.export import ExportOptions, export
from selector.identity import who
from selector.predict import candidate_of, open_bundle
from selector.records import Champion, Decision, ExportedBundle, NewChampion, Promotion, TrialRow
from selector.settings import load_settings
from selector.spec import from_plain
from selector.store import Store

FOLDER = "champions"  # below that of the family in the artifacts folder


def promote(
    store: Store,
    name: str,
    *,
    trial: int | None = None,
    reason: str | None = None,
    base: Path | None = None,
) -> Promotion:
    """Make a candidate the champion of its family by hand; by default the pick of the latest study.

    `name` is that of the family, or of the stored study that has the trial. Relative paths of the
    data start at `base`, by default where the study's latest run began. Raises ConflictError where
    it is the champion already or the data has changed since, ParityError where its export does
    not pass the gate; the old champion then stays.
    """
    family = store.champions.family_of(name)
    study = latest_study(store, family) if name == family else name
    pick = candidate_of(store, study, trial=trial)
    decisions = store.champions.decisions(family)
    present = decisions[-1].champion if decisions else None
    if present is not None and (present.study, present.trial) == (study, pick.number):
        raise ConflictError(f"Trial {pick.number} of '{study}' is the champion already.")
    champion = exported(store, family, study, pick, base=base)
    return store.champions.decide(
        family,
        Decision(
            action="by_hand",
            study=study,
            trial=pick.number,
            reason=reason or "promoted by hand",
            who=who(),
        ),
        after=len(decisions),
        champion=champion,
    )


def rollback(store: Store, name: str, *, reason: str | None = None) -> Promotion:
    """Make the champion before the present one the champion again.

    Repeated, it goes further back. Raises InputError where there is none, or where its bundle is
    damaged.
    """
    family = store.champions.family_of(name)
    decisions = store.champions.decisions(family)
    line = in_line(decisions)
    if len(line) < 2:
        raise InputError(
            f"There is no earlier champion of '{family}' to go back to. "
            f"See: selector champion {family} --history."
        )
    present, earlier = line[-1], line[-2]
    require_bundle(earlier)
    return store.champions.decide(
        family,
        Decision(
            action="rollback",
            study=earlier.study,
            trial=earlier.trial,
            reason=reason or f"back from trial {present.trial} of '{present.study}'",
            who=who(),
        ),
        after=len(decisions),
        champion=earlier,
    )


def in_line(decisions: Sequence[Promotion]) -> list[Champion]:
    """The champions that a rollback can go back over, the present one last."""
    line: list[Champion] = []
    for each in decisions:
        if each.decision.action == "rollback":
            line.pop()
        elif not line or line[-1].id != each.champion.id:
            line.append(each.champion)
    return line


def latest_study(store: Store, family: str) -> str:
    """The stored study of a family's latest edition, the family's own name where it has none."""
    known = [each.study for each in store.champions.editions(family) if store.study(each.study)]
    return known[-1] if known else family


def bundle_of(champion: Champion) -> Path:
    """The folder of a champion's bundle."""
    folder = champion.folder(load_settings().artifacts)
    uploads.bring_folder(folder)
    return folder


def require_bundle(champion: Champion) -> Path:
    """The folder of a champion's bundle; InputError where it is not as it was written."""
    folder = bundle_of(champion)
    try:
        open_bundle(folder)
    except InputError as error:
        raise InputError(
            f"The bundle of champion '{champion.name}' (trial {champion.trial} of "
            f"'{champion.study}') cannot be used. {error} Or take another: selector promote "
            f"{champion.name} --trial NUMBER; or go back: selector rollback {champion.name}."
        ) from error
    return folder


def exported(
    store: Store, family: str, study: str, pick: TrialRow, *, base: Path | None = None
) -> NewChampion | Champion:
    """The bundle of a candidate, made now and held against the gate, or made earlier.

    Raises what `export` does, and LimitsUnmetError where it exceeds the study's limits.
    """
    place = _place(family, study, pick)
    known = next((c for c in store.champions.all_of(family) if c.bundle == place), None)
    folder = load_settings().artifacts / place
    if known is not None and _is_whole(folder):
        return known
    dataset = data.inspect(
        from_plain(store.require_study(study).spec).data,
        base=base or next(iter(store.folders(study)), Path()),
        cache=load_settings().cache,
    )
    if not _is_whole(folder):
        options = ExportOptions(trial=pick.number, output=folder, force=True, base=base)
        _refuse_unmet(export(store, study, options), study, pick)
        for path in sorted(folder.iterdir()):
            uploads.upload(path)
    elif dataset.summary.fingerprint != store.require_study(study).data.fingerprint:
        raise ConflictError(f"The data of study '{study}' has changed since it ran. Restore it.")
    return known or NewChampion(
        study=study,
        trial=pick.number,
        bundle=place,
        fingerprint=dataset.summary.fingerprint,
        trained_on=data.all_marks(dataset, "train"),
    )


def _place(family: str, study: str, pick: TrialRow) -> str:
    """Below the artifacts folder; with the checkpoint's hash, for a name may come back."""
    content = str(pick.checkpoint_sha256)[:12]
    return f"{family}/{FOLDER}/{study}-trial-{pick.number:04d}-{exporters.DEFAULT}-{content}"


def _refuse_unmet(made: ExportedBundle, study: str, pick: TrialRow) -> None:
    if made.unmet:
        bundle.move(made.path, bundle.failed_name(made.path))
        raise LimitsUnmetError(
            f"Trial {pick.number} of study '{study}' exceeds its limits as it would be shipped: "
            f"{', '.join(made.unmet)}. Promote another candidate with --trial, or raise the limit."
        )


def _is_whole(folder: Path) -> bool:
    if not folder.exists():
        return False
    try:
        open_bundle(folder)
    except InputError:
        return False
    return True
