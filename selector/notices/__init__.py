"""Telling the outside: a webhook or a command hears that a run ended or a champion was replaced."""

from __future__ import annotations

from pathlib import Path

from selector.events import NoticeFailed, Observer
from selector.notices import command, webhook
from selector.notices.payload import payload_of
from selector.records import Notice
from selector.settings import load_settings
from selector.spec.notify import NotifySpec, shown

__all__ = ["notify", "payload_of"]


def notify(
    notice: Notice, spec: NotifySpec | None, *, base: Path, observe: Observer
) -> tuple[str, ...]:
    """Tell the webhook and the command of `spec`, if they want this kind; gives whom it reached.

    `base` is the folder in which the command runs. Nothing is raised when that fails: `observe`
    hears NoticeFailed, once for each. Call it once for a notice: nothing here remembers.
    """
    if spec is None or notice.kind not in spec.on:
        return ()
    reached: list[str] = []
    body = payload_of(notice)
    if spec.url is not None:
        secret = load_settings().webhook_secret
        reason = webhook.post(
            spec.url,
            body,
            notice=notice,
            secret=secret.get_secret_value() if secret else None,
            timeout_seconds=spec.timeout_seconds,
            retries=spec.retries,
        )
        _settle(shown(spec.url), reason, reached, observe)
    if spec.command is not None:
        reason = command.run(spec.command, body, base=base, timeout_seconds=spec.timeout_seconds)
        _settle(spec.command[0], reason, reached, observe)
    return tuple(reached)


def _settle(target: str, reason: str | None, reached: list[str], observe: Observer) -> None:
    if reason is None:
        reached.append(target)
    else:
        observe(NoticeFailed(target=target, reason=reason))
