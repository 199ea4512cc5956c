"""Policies: what is allowed, what a wrong one is told, what changes their identity, who may set them."""

from typing import Any

import pytest
import yaml
from sqlalchemy import Engine, select

from cryptocontent.errors import NotAllowed, Refused
from cryptocontent.identity import Person
from cryptocontent.llm.cost import price_of
from cryptocontent.llm.policies import (
    PROVIDERS,
    Candidate,
    Policies,
    StagePolicy,
    load_policies,
    read_policies,
    set_policies,
)
from cryptocontent.llm.providers import configured
from cryptocontent.llm.status import EXAMPLE, candidates_of
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import AuditEntry, ModelPolicyVersion
from tests.llm.money import ADA, make_project

MODELS = "candidates: [{model: 'openai:gpt-5.6-luna'}, {model: 'local:qwen3:8b', weight: 0}]"


def policies(**stage: Any) -> Policies:
    given = {"candidates": [{"model": "openai:gpt-5.6-luna"}], **stage}
    return Policies.model_validate({"stages": {"writer": given}})


def test_a_stage_is_done_as_named_else_by_default() -> None:
    read = read_policies(f"default: {{{MODELS}}}\nstages: {{seo: {{engine: rules}}}}")
    assert read.of("seo").engine == "rules"
    assert read.of("writer").engine == read.of("anything").engine == "model"
    local = read.of("writer").candidates[1]
    assert (local.provider, local.name, local.weight) == ("local", "qwen3:8b", 0)


def test_without_a_policy_no_model_is_used() -> None:
    for text in ("", "{}", "style: Short."):
        read = read_policies(text)
        assert read.of("writer").engine == "rules" and candidates_of(read) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("default: {engine: magic}", ["default.engine", "'rules' or 'model'"]),
        ("default: {engine: model}", ["default", "engine: model needs candidates"]),
        (
            "stages: {writer: {candidates: [{model: gpt-5.6-luna}]}}",
            ["stages.writer.candidates.0.model", "'gpt-5.6-luna'"],
        ),
        ("stages: {writer: {candidates: [{model: 'acme:x'}]}}", ["acme:x", "openai-chat", "local"]),
        ("stages: {writer: {candidates: [{model: 'openai:'}]}}", ["PROVIDER:MODEL"]),
        ('stages: {writer: {candidates: [{model: "openai:a\\nb"}]}}', ["PROVIDER:MODEL"]),
        (
            "default: {candidates: [{model: 'openai:a'}, {model: 'openai:a'}]}",
            ["default", "a model is named twice"],
        ),
        (
            "default: {choice: weighted, candidates: [{model: 'openai:a', weight: 0}]}",
            ["needs a candidate with a weight above 0"],
        ),
        ("default: {candidates: [{model: 'openai:a', weight: -1}]}", ["default.candidates.0.weight"]),
        ("default: {candidates: [{model: 'openai:a', price: {input: 1}}]}", ["price.output"]),
        (f"default: {{{MODELS}, timeouts: {{attempt: 0}}}}", ["default.timeouts.attempt", "greater than 0"]),
        (f"default: {{{MODELS}, max_tokens: 1}}", ["default.max_tokens", "16"]),
        (f"default: {{{MODELS}, temprature: 1}}", ["default.temprature", "not permitted"]),
        ("stages: {Writer: {engine: rules}}", ["stages.Writer", "pattern"]),
        ("number: 7\nstyle: 5", ["style", "string"]),
        ("default: [", ["policy:", "line 1"]),
        ("just text", ["policy"]),
    ],
)
def test_what_is_wrong_is_named(text: str, words: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        read_policies(text)
    for word in words:
        assert word in str(refused.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(Refused) as refused:
        read_policies("default: {engine: magic}\nstages: {seo: {max_tokens: x}}\nstylle: x")
    assert str(refused.value).count(";") == 2


BASE = policies()


@pytest.mark.parametrize(
    "changed",
    [
        policies(candidates=[{"model": "openai:gpt-5.6-terra"}]),
        policies(candidates=[{"model": "openai:gpt-5.6-luna"}, {"model": "openai:gpt-5.6-terra"}]),
        policies(temperature=0.1),
        policies(max_tokens=100),
        policies(output="text"),
        BASE.model_copy(update={"style": "Short."}),
    ],
)
def test_what_a_model_is_asked_changes_the_identity(changed: Policies) -> None:
    assert changed.identity("writer") != BASE.identity("writer")


@pytest.mark.parametrize(
    "tuned",
    [
        policies(timeouts={"attempt": 5}),
        policies(tries=5, attempts=5, on_failure="rules", stream=True, choice="weighted"),
        policies(candidates=[{"model": "openai:gpt-5.6-luna", "weight": 3, "concurrency": 1}]),
        policies(
            candidates=[{"model": "openai:gpt-5.6-luna", "requests_per_minute": 3, "tokens_per_minute": 9}]
        ),
        policies(candidates=[{"model": "openai:gpt-5.6-luna", "price": {"input": 1, "output": 1}}]),
        BASE.model_copy(update={"number": 9}),
        BASE.model_copy(update={"default": StagePolicy(candidates=(Candidate(model="grok:grok-4.7"),))}),
    ],
)
def test_tuning_leaves_what_is_done_done(tuned: Policies) -> None:
    assert tuned.identity("writer") == BASE.identity("writer")


def test_versions_are_kept_and_the_newest_is_in_force(engine: Engine) -> None:
    make_project(engine)
    make_project(engine, "other")
    first, second = policies(max_tokens=100), policies(max_tokens=200)
    with writing(engine) as session:
        assert load_policies(session, "p") == Policies()
        assert set_policies(session, "p", first, ADA) == 1
        assert set_policies(session, "p", first, ADA) == 1, "unchanged"
        assert set_policies(session, "p", second, ADA) == 2
        assert set_policies(session, "p", first, ADA) == 3, "back again is a version, too"
    with reading(engine) as session:
        assert load_policies(session, "p") == first.model_copy(update={"number": 3})
        assert load_policies(session, "other").number == 0
        kept = session.scalars(select(ModelPolicyVersion).order_by(ModelPolicyVersion.number)).all()
        assert [(one.number, one.author) for one in kept] == [(1, "ada"), (2, "ada"), (3, "ada")]
        entries = session.scalars(select(AuditEntry).filter_by(action="models.policy_set")).all()
    assert [one.data["number"] for one in entries] == [1, 2, 3]
    assert all(one.actor == "person:ada" for one in entries)


def test_an_empty_policy_can_be_set_first_and_takes_a_policy_back(engine: Engine) -> None:
    make_project(engine)
    with writing(engine) as session:
        assert set_policies(session, "p", Policies(), ADA) == 1
        assert set_policies(session, "p", policies(), ADA) == 2
        assert set_policies(session, "p", Policies(), ADA) == 3
        assert load_policies(session, "p").of("writer").engine == "rules"


@pytest.mark.parametrize("role", ["viewer", "writer", "editor", "api"])
def test_only_admins_set_policies(sqlite_engine: Engine, role: Any) -> None:
    make_project(sqlite_engine)
    with writing(sqlite_engine) as session:
        with pytest.raises(NotAllowed, match="administer"):
            set_policies(session, "p", policies(), Person("x", role))
        assert load_policies(session, "p").number == 0


def test_the_example_is_sound_and_says_what_the_defaults_are() -> None:
    text = EXAMPLE.read_text()
    read = read_policies(text)
    found = candidates_of(read)
    assert [one.provider for one in read.default.candidates] == ["anthropic", "openai", "google", "grok"]
    assert read.default.choice == "in_order" and read.default.engine == "model"
    assert any(one.provider == "local" for one, _ in found.values())
    for candidate, _ in found.values():
        assert price_of(candidate, use())[1] in ("listed", "own"), f"{candidate.model} has no known price"
    dear, cheap = (price_of(read.of(stage).candidates[0], use())[0] for stage in ("writer", "proofreader"))
    assert cheap < dear / 3
    # What is written down of the defaults, in brackets, is what they are.
    told = StagePolicy(candidates=(Candidate(model="openai:x"),))
    assert f"({told.max_tokens})" in text and f"({told.candidates[0].concurrency})" in text
    data = yaml.safe_load(text)["default"]
    for name in ("attempt", "first_token", "total"):
        assert data["timeouts"][name] == getattr(told.timeouts, name)
    for name in ("choice", "output", "tries", "attempts", "on_failure"):
        assert data[name] == getattr(told, name), name


def use() -> Any:
    from cryptocontent.llm.calls import TokenUse

    return TokenUse(1_000_000, 1_000_000)


def test_policies_and_providers_know_the_same_names(tmp_path: Any) -> None:
    assert tuple(configured(Settings(CRYPTOCONTENT_HOME=tmp_path))) == PROVIDERS  # type: ignore[call-arg]
