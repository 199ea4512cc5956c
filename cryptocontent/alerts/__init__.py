"""Alerts: what people must be told of, once each, by webhook and e-mail.

Whoever notices something writes a row (`raise_alert`) in its own transaction; the sensor `alerts` sends it.
"""

from cryptocontent.alerts.scrubbing import scrubbed
from cryptocontent.alerts.sending import Sent, send_alerts, send_now
from cryptocontent.alerts.store import list_alerts, raise_alert, retry
from cryptocontent.alerts.ways import off

__all__ = ["Sent", "list_alerts", "off", "raise_alert", "retry", "scrubbed", "send_alerts", "send_now"]
