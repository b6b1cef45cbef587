"""What `show STUDY TRIAL` tells."""

from __future__ import annotations

from selector import reporting
from selector.store import Store


def test_a_failed_trial_shows_its_message(stored: Store) -> None:
    page = reporting.trial_page(
        stored.require_study("flowers"), stored.trials("flowers")[3], epochs=(), class_scores=()
    )
    assert "non_finite: loss is nan in epoch 1" in reporting.render(page)


def test_a_trial_shows_its_epochs_and_classes(stored: Store) -> None:
    page = reporting.trial_page(
        stored.require_study("flowers"),
        stored.trials("flowers")[1],
        epochs=[epoch for trial, epoch in stored.epochs("flowers") if trial == 1],
        class_scores=stored.class_scores("flowers", 1),
    )
    text = reporting.render(page)
    for word in ("validation loss", "bee", "11.2 M, 1.1 M of them trained", "freeze_depth"):
        assert word in text
