"""Google Drive and Google's logins over real HTTP: `google_server()` in tests, `app(Google())` for people
(`sample(google)` fills it, `environment(url)` leads to it)."""

from tests.fakes.google.oauth import client_secrets_file, person_file, service_account_file
from tests.fakes.google.sample import docx, sample, xlsx
from tests.fakes.google.server import app, environment, google_server
from tests.fakes.google.state import (
    DOCUMENT,
    DOCX,
    FOLDER,
    PERSON,
    SERVICE_ACCOUNT,
    SPREADSHEET,
    XLSX,
    Call,
    Fault,
    Google,
    Node,
)

__all__ = [
    "DOCUMENT",
    "DOCX",
    "FOLDER",
    "PERSON",
    "SERVICE_ACCOUNT",
    "SPREADSHEET",
    "XLSX",
    "Call",
    "Fault",
    "Google",
    "Node",
    "app",
    "client_secrets_file",
    "docx",
    "environment",
    "google_server",
    "person_file",
    "sample",
    "service_account_file",
    "xlsx",
]
