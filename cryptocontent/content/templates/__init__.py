"""Templates: the outline, length and tone of a kind of article, with typed variables.

A template is a YAML file, checked whole before anything of it is stored. Text in it is Jinja2, rendered in
a sandbox with nothing but the brief's variables. It may extend another template and say only what differs.
"""

from cryptocontent.content.templates.files import read_template
from cryptocontent.content.templates.preview import preview, spec_of_file, spec_of_version
from cryptocontent.content.templates.spec import (
    FIXED_COLUMNS,
    InternalLinks,
    Outline,
    OutlineSection,
    TemplateError,
    TemplateSpec,
    WordRange,
    check_variables,
    outline,
)
from cryptocontent.content.templates.store import (
    Saved,
    as_yaml,
    current_templates,
    find_version,
    known_in,
    list_versions,
    save_template,
    save_templates,
    template_diff,
    template_versions,
    template_yaml,
)
from cryptocontent.content.templates.values import Known
from cryptocontent.content.templates.variables import Variable, sample_value
from cryptocontent.content.templates.written import TemplateSource, read_source, read_sources

__all__ = [
    "FIXED_COLUMNS",
    "InternalLinks",
    "Known",
    "Outline",
    "OutlineSection",
    "Saved",
    "TemplateError",
    "TemplateSource",
    "TemplateSpec",
    "Variable",
    "WordRange",
    "as_yaml",
    "check_variables",
    "current_templates",
    "find_version",
    "known_in",
    "list_versions",
    "outline",
    "preview",
    "read_source",
    "read_sources",
    "read_template",
    "sample_value",
    "save_template",
    "save_templates",
    "spec_of_file",
    "spec_of_version",
    "template_diff",
    "template_versions",
    "template_yaml",
]
