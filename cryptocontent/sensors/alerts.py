"""Sends the alerts that are due, by webhook and e-mail."""

from dagster import DefaultSensorStatus, SensorEvaluationContext, SkipReason, sensor

from cryptocontent.alerts import Sent, off, send_alerts
from cryptocontent.resources.platform import PlatformResource

_SECONDS = 30.0


@sensor(minimum_interval_seconds=30, default_status=DefaultSensorStatus.RUNNING)
def alerts(context: SensorEvaluationContext, platform: PlatformResource) -> SkipReason:
    """Starts no run."""
    done = send_alerts(platform.engine, platform.settings, _SECONDS)
    for key, reason in (done.waiting | done.failed).items():
        context.log.warning(f"{key}: {reason}")
    return SkipReason(told(done, off(platform.settings)))


def told(done: Sent, why_off: str) -> str:
    """What a tick did, for people."""
    parts = [
        f"{count} {what}"
        for count, what in (
            (len(done.sent), "sent"),
            (len(done.waiting), "to be tried again"),
            (len(done.failed), "given up (`cryptocontent alert list`)"),
            (done.kept, "kept, not sent"),
        )
        if count
    ]
    return "; ".join(part for part in (", ".join(parts), why_off) if part) or "no alert is due"
