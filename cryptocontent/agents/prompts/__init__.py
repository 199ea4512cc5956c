"""What models are told: one folder per agent, one Jinja file per question, versioned by their content.

Values are filled in as they are. What comes from references never stands in these texts: it goes into
the material (`agents.by_model.material`), as data.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_FOLDER = Path(__file__).parent


@cache
def _environment() -> Environment:
    # Prompts are text for models, not HTML: nothing is escaped.
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(agent: str, question: str, **values: Any) -> str:
    """The text of a question to an agent: `prompts/<agent>/<question>.md.jinja`, filled in."""
    return _environment().get_template(f"{agent}/{question}.md.jinja").render(**values).strip()


@cache
def prompt_version(agent: str) -> str:
    """12 hex digits that change whenever a prompt of the agent (or one shared by all) does."""
    digest = sha256()
    for folder in ("shared", agent):
        for file in sorted((_FOLDER / folder).glob("*.jinja")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
