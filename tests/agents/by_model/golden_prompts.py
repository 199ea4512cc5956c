"""Prompts held against the files of `golden/`, word for word. After a wanted change of a prompt run the tests
with `REWRITE_GOLDEN=1` in the environment, and read the difference."""

import os
from pathlib import Path

_GOLDEN = Path(__file__).with_name("golden")


def same_as_golden(name: str, text: str) -> None:
    file = _GOLDEN / name
    if os.environ.get("REWRITE_GOLDEN"):
        file.write_text(text + "\n", encoding="utf-8")
    assert text + "\n" == file.read_text(encoding="utf-8"), f"{name}: see the head of golden_prompts.py"
