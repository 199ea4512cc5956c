"""`cryptocontent models` as people type it."""

import asyncio
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from sqlalchemy import select, update

from cryptocontent.content.briefs import import_briefs
from cryptocontent.content.generations import brief_ids, request_generation
from cryptocontent.content.templates import save_template
from cryptocontent.llm.calls import CallScope, Settlement, TokenUse
from cryptocontent.llm.ledger import Ledger
from cryptocontent.llm.policies import load_policies, read_policies
from cryptocontent.llm.status import EXAMPLE
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import AuditEntry, KeptResponse, ModelCall
from cryptocontent.storage.types import utc_now
from tests.agents.world import SPEC
from tests.cli.homes import SCRIPT, process
from tests.cli.inside import ADA, Inside, inside
from tests.fakes.vendors import Fault, Vendors, vendors_server

POLICY = """
default:
  candidates: [{model: 'openai:gpt-5.6-luna'}, {model: 'anthropic:claude-haiku-5-5'}]
  max_tokens: 2000
stages: {seo: {engine: rules}}
style: Short sentences.
"""


@pytest.fixture
def cli(_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    shutil.copytree(_home, tmp_path / "home")
    with inside(tmp_path / "home", monkeypatch) as commands:
        yield commands


@pytest.fixture(scope="session")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("models-home")
    with pytest.MonkeyPatch.context() as patch, inside(home, patch) as commands:
        assert commands.run("project", "create", "own").code == 0
        assert commands.run("member", "set", "ed", "editor").code == 0
        assert commands.run("member", "set", "vic", "viewer").code == 0
    return home


@pytest.fixture(scope="module")
def _vendors() -> Iterator[Vendors]:
    with vendors_server() as vendors:
        yield vendors


@pytest.fixture
def vendors(_vendors: Vendors, monkeypatch: pytest.MonkeyPatch) -> Vendors:
    _vendors.reset()
    for name, value in _vendors.environment().items():
        monkeypatch.setenv(name, value)
    return _vendors


def use(cli: Inside, policy: str) -> None:
    file = cli.home / "policy.yaml"
    file.write_text(policy)
    done = cli.run("models", "set", file)
    assert done.code == 0, done.said


def call(
    cli: Inside,
    settlement: Settlement | None,
    *,
    model: str = "openai:gpt-5.6-luna",
    generation: str = "",
    stage: str = "writer",
) -> str:
    """A call in the ledger; without a settlement it stays under way."""

    async def booked() -> str:
        ledger = Ledger(cli.engine)
        scope = CallScope("own", stage, generation_id=generation, article_id="a1")
        provider, _, name = model.partition(":")
        made = await ledger.reserve(scope, "k" * 64, provider, name, 1, 0.5)
        if settlement:
            await ledger.settle(made, settlement)
        return made

    return asyncio.run(booked())


def test_the_example_is_taken_as_it_is_and_shown(cli: Inside) -> None:
    printed = cli.run("models", "example").out
    assert printed.rstrip() == EXAMPLE.read_text().rstrip()
    use(cli, printed)
    shown = cli.run("models", "show")
    lines = shown.out.splitlines()
    assert lines[0] == "# project own: version 1"
    assert lines[1].startswith("# writer: model (anthropic:claude-sonnet-5-5, openai:gpt-5.6-terra, ")
    (cli.home / "policy.yaml").write_text(shown.out)
    assert "unchanged, version 1" in cli.run("models", "set", cli.home / "policy.yaml").out, "show → set"
    assert yaml.safe_load(shown.out)["stages"]["seo"]["engine"] == "model"


def test_show_and_set(cli: Inside) -> None:
    shown = cli.run("models", "show")
    assert "# project own: no policy, all by rules" in shown.out
    assert "# writer: rules" in shown.out and yaml.safe_load(shown.out) == {"default": {"engine": "rules"}}
    use(cli, POLICY)
    values = cli.run("models", "show", "--json").json()
    assert (values["number"], values["stages"]["seo"]) == (1, {"engine": "rules", "candidates": []})
    assert values["stages"]["writer"]["candidates"] == ["openai:gpt-5.6-luna", "anthropic:claude-haiku-5-5"]
    assert values["policy"]["style"] == "Short sentences."
    file = cli.home / "policy.yaml"
    again = cli.run("models", "set", file, "--json").json()
    assert again == {"project": "own", "number": 1, "changed": False}
    file.write_text(POLICY.replace("2000", "3000"))
    assert "models: version 2 is in force in project own" in cli.run("models", "set", file).out
    file.write_text(POLICY.replace("2000", "many").replace("openai:", "acme:"))
    cli.run("models", "set", file).refused(
        1, "policy.yaml", "default.max_tokens", "acme:gpt-5.6-luna", "openai-chat"
    )
    file.write_bytes(b"\xff\xfe")
    cli.run("models", "set", file).refused(1, "policy.yaml", "not UTF-8")
    cli.run("models", "set", cli.home / "none.yaml").refused(1, "none.yaml")
    file.write_text(POLICY)
    cli.run("models", "set", file, CRYPTOCONTENT_USER="ed").refused(1, "ed is editor", "administer")
    with reading(cli.engine) as session:
        assert load_policies(session, "own").number == 2
        numbers = select(AuditEntry).filter_by(action="models.policy_set").order_by(AuditEntry.seq)
        assert [entry.data["number"] for entry in session.scalars(numbers)] == [1, 2]


def test_what_a_policy_asks_for_in_vain_is_said(cli: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-5ecret")
    file = cli.home / "policy.yaml"
    file.write_text(POLICY.replace("seo:", "se0:"))
    done = cli.run("models", "set", file)
    assert done.code == 0
    assert "stages.se0: there is no such stage here; there are: writer, editor" in done.err
    assert "no usable key or URL here for anthropic:claude-haiku-5-5:" in done.err
    assert "5ecret" not in done.said


def test_status(cli: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no stage asks a model" in cli.run("models", "status").out
    use(cli, POLICY)
    assert cli.run("models", "budget", "--month", "10").code == 0
    monkeypatch.setenv("OPENAI_API_KEY", "sk-5ecret")
    call(cli, Settlement("ok", TokenUse(100, 10), 0.25, seconds=1.5))
    call(cli, Settlement("server_error", error="down"))
    call(cli, None)
    printed = cli.run("models", "status")
    rows = {line.split()[0]: line.split() for line in printed.out.splitlines() if line.strip()}
    assert rows["openai:gpt-5.6-luna"][1:4] == ["default", "yes", "closed"]
    assert rows["openai:gpt-5.6-luna"][4:] == ["0", "of", "0", "2", "1", "$0.25", "1.5", "s"]
    assert rows["anthropic:claude-haiku-5-5"][2:4] == ["missing", "closed"]
    assert rows["month"][2:] == ["$10.00", "$0.25", "$0.50", "$9.25"]
    assert "1 call not settled, $0.50 reserved" in printed.out
    values = cli.run("models", "status", "--json").json()
    assert [one["configured"] for one in values["candidates"]] == [True, False]
    assert "5ecret" not in printed.said


def test_status_loads_no_library_of_models(cli: Inside) -> None:
    use(cli, POLICY)
    done = process([sys.executable, "-X", "importtime", SCRIPT, "models", "status"], cli.home)
    assert done.code == 0 and "openai:gpt-5.6-luna" in done.out
    imported = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.err.splitlines() if "|" in line}
    assert "sqlalchemy" in imported and not imported & {
        "pydantic_ai",
        "openai",
        "anthropic",
        "prometheus_client",
    }


def test_models_are_asked(cli: Inside, vendors: Vendors) -> None:
    cli.run("models", "test").refused(1, "no stage asks a model", "PROVIDER:MODEL")
    use(cli, POLICY)
    assert "warning" not in cli.run("models", "set", cli.home / "policy.yaml").said
    done = cli.run("models", "test")
    assert done.code == 0, done.said
    first, second = done.out.splitlines()
    # How long it takes is for the machine to say, not for a test.
    assert re.match(r"openai:gpt-5\.6-luna: ok in \d+\.\d s, ", first)
    assert "tokens in, " in first and "$0.000" in first
    assert re.match(r"anthropic:claude-haiku-5-5: ok in \d+\.\d s, ", second)
    named = cli.run("models", "test", "copilot:gpt-5.6-luna", "openai:nobody-knows-it")
    assert named.code == 0, named.said
    assert "subscription" in named.out.splitlines()[0] and "price unknown" in named.out.splitlines()[1]
    cost = cli.run("models", "cost", "--by", "model", "--json").json()
    assert cost["unknown_price"] == {"openai:nobody-knows-it": 1}
    assert cost["subscription"] == {"copilot:gpt-5.6-luna": 1} and cost["total"]["calls"] == 4
    assert {row["stage"] for row in cli.run("models", "cost", "--json").json()["rows"]} == {"test"}
    printed = cli.run("models", "cost", "--by", "model").out
    assert "$0.00 + 100% of calls unpriced" in printed
    assert "openai:nobody-knows-it: the price of 1 call is unknown" in printed
    assert "copilot:gpt-5.6-luna: 1 call by subscription, nothing per call" in printed


def test_one_that_fails_is_exit_code_1(cli: Inside, vendors: Vendors) -> None:
    use(cli, POLICY)
    vendors.next("openai", Fault(status=401))
    done = cli.run("models", "test")
    assert done.code == 1 and "openai:gpt-5.6-luna: failed: " in done.out and "401" in done.out
    assert "anthropic:claude-haiku-5-5: ok" in done.out and "5ecret" not in done.said
    cli.run("models", "test", "nonsense").refused(1, "'nonsense' is not PROVIDER:MODEL")
    cli.run("models", "test", CRYPTOCONTENT_USER="vic").refused(1, "vic is viewer", "write")


def test_cost(cli: Inside) -> None:
    assert "no calls of models in the ledger" in cli.run("models", "cost").out
    call(cli, Settlement("ok", TokenUse(1000, 100, 600), 0.25))
    call(cli, Settlement("timeout", cost_usd=0.5), stage="editor", model="grok:grok-4.7")
    call(cli, None)
    found = cli.run("models", "cost", "--json").json()
    assert [(row["stage"], row["cost_usd"], row["under_way"]) for row in found["rows"]] == [
        ("editor", 0.5, 0),
        ("writer", 0.25, 1),
    ]
    assert (found["total"]["cost_usd"], found["total"]["failed"]) == (0.75, 1)
    assert found["under_way"]["reserved_usd"] == 0.5
    printed = cli.run("models", "cost", "--by", "model").out
    lines = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if line.strip()}
    assert lines["openai:gpt-5.6-luna"] == ["2", "0", "1", "1000", "600", "100", "$0.25"]
    assert lines["total"][-1] == "$0.75"
    for by in ("article", "day", "outcome"):
        assert cli.run("models", "cost", "--by", by, "--json").json()["total"]["cost_usd"] == 0.75
    with writing(cli.engine) as session:
        session.execute(update(ModelCall).values(created_at=utc_now() - timedelta(days=3)))
    assert cli.run("models", "cost", "--since", "2", "--json").json()["rows"] == []
    assert len(cli.run("models", "cost", "--since", "4", "--json").json()["rows"]) == 2
    cli.run("models", "cost", "--by", "weekday").refused(1, "--by 'weekday'", "generation, day")
    cli.run("models", "cost", "--since", "0").refused(1, "--since 0")


def test_what_was_estimated_stands_beside_what_it_cost(cli: Inside) -> None:
    usd = {"p50": 0.2, "p90": 0.5}
    with writing(cli.engine) as session:
        save_template(session, "own", SPEC, ADA.actor)
        import_briefs(session, "own", b"template,topic\nnote,Fees\n", ADA.actor)
        ids = brief_ids(session, "own")
        told = request_generation(session, "own", ids, ADA.actor, batch_size=1, estimate={"usd": usd})
        untold = request_generation(session, "own", ids, ADA.actor, batch_size=1)
    for generation in (told, untold, "a-backfills-run", ""):
        call(cli, Settlement("ok", cost_usd=0.25), generation=generation)
    rows = cli.run("models", "cost", "--by", "generation", "--json").json()["rows"]
    assert {row["generation"]: (row["cost_usd"], row["estimate_usd"]) for row in rows} == {
        told: (0.25, usd),
        untold: (0.25, None),
        "a-backfills-run": (0.25, None),
        "": (0.25, None),
    }
    printed = cli.run("models", "cost", "--by", "generation").out
    (line,) = (line for line in printed.splitlines() if told in line)
    assert "$0.25" in line and "$0.20–0.50 (P50–P90)" in line


def test_budgets(cli: Inside) -> None:
    assert [one["cap"] for one in cli.run("models", "budget", "--json").json()] == [None, None]
    month, generation = cli.run("models", "budget", "--month", "50", "--generation", "2.5", "--json").json()
    assert (month["cap"], month["left"], generation["cap"]) == (50, 50, 2.5)
    call(cli, Settlement("ok", cost_usd=1.25))
    month, generation = cli.run("models", "budget", "--none", "generation", "--json").json()
    assert (month["cap"], month["spent"], month["left"], generation["cap"]) == (50, 1.25, 48.75, None)
    printed = cli.run("models", "budget").out
    assert "$48.75" in printed and "none" in printed
    cli.run("models", "budget", "--month", "-1").refused(1, "budget of month", "-1")
    cli.run("models", "budget", "--month", "nan").refused(1, "budget of month", "finite")
    cli.run("models", "budget", "--none", "year").refused(1, "--none 'year'", "month, generation")
    cli.run("models", "budget", "--month", "1", "--none", "month").refused(1, "--month and --none month")
    ed = cli.run("models", "budget", "--month", "1", CRYPTOCONTENT_USER="ed")
    ed.refused(1, "ed is editor", "administer")
    assert cli.run("models", "budget", "--json", CRYPTOCONTENT_USER="ed").json()[0]["cap"] == 50


def test_calls_of_dead_processes_are_released(cli: Inside) -> None:
    lost, young = call(cli, None), call(cli, None)
    with writing(cli.engine) as session:
        old = update(ModelCall).filter_by(id=lost).values(created_at=utc_now() - timedelta(hours=30))
        session.execute(old)
    cli.run("models", "release", "--hours", "0").refused(1, "--hours 0", "under way")
    cli.run("models", "release", CRYPTOCONTENT_USER="ed").refused(1, "ed is editor")
    assert "0 calls released" in cli.run("models", "release", "--hours", "48").out
    assert "1 call released, as unpaid" in cli.run("models", "release", "--unpaid").out
    with reading(cli.engine) as session:
        outcomes = {one.id: (one.outcome, one.cost_usd) for one in session.scalars(select(ModelCall))}
    assert outcomes == {lost: ("cancelled", 0.0), young: ("reserved", 0.0)}


def test_old_answers_and_events_are_forgotten(cli: Inside) -> None:
    with writing(cli.engine) as session:
        for age in (1, 40):
            session.add(
                KeptResponse(
                    request_key=f"{age}",
                    call_id="c",
                    response="{}",
                    created_at=utc_now() - timedelta(days=age),
                )
            )
    cli.run("models", "prune", CRYPTOCONTENT_USER="ed").refused(1, "ed is editor")
    assert "1 kept answer, 0 events" in cli.run("models", "prune").out
    assert cli.run("models", "prune", "--answers", "0", "--json").json() == {"answers": 1, "events": 0}
    cli.run("models", "prune", "--events", "-1").refused(1, "--events -1")


def test_metrics_printed_once(cli: Inside) -> None:
    call(cli, Settlement("ok", TokenUse(100, 10), 0.25, seconds=1.5))
    printed = cli.run("models", "metrics", "--once").out
    labels = 'model="gpt-5.6-luna",outcome="ok",project="own",provider="openai",stage="writer"'
    assert f"cryptocontent_model_calls_total{{{labels}}} 1.0" in printed.splitlines()


def test_metrics_served_until_told_to_end(cli: Inside) -> None:
    call(cli, Settlement("ok", TokenUse(100, 10), 0.25, seconds=1.5))
    with subprocess.Popen(
        [SCRIPT, "models", "metrics", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[0]
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert b'cryptocontent_model_calls_total{model="gpt-5.6-luna"' in answer.read()
        server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        cli.run("models", "metrics", "--port", port).refused(1, f"--port {port}", "in use")


DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["models.md", "custom-agents.md"])
def test_the_pages_name_only_commands_and_options_that_exist(page: str) -> None:
    from cryptocontent.cli.app import app

    text = (DOCS / page).read_text()
    said = re.findall(r"^\$ (?:\w+=\S+ )*cryptocontent (.+)$|`cryptocontent ([^`]+)`", text, re.M)
    lines = [(one or other).split("   ")[0].split(" >")[0] for one, other in said]
    assert len(lines) >= 2
    for line in lines:
        found: Any = typer.main.get_command(app)
        words = line.split()
        while hasattr(found, "commands") and words:
            assert words[0] in found.commands, line
            found = found.commands[words.pop(0)]
        options = {name for one in found.params for name in one.opts}
        assert {word for word in words if word.startswith("-")} <= options, line


def test_the_policies_of_the_page_are_sound() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", (DOCS / "models.md").read_text(), re.M | re.S)
    assert len(blocks) == 2
    for one in blocks:
        read_policies(one)


def test_the_page_names_the_settings_that_there_are() -> None:
    text = (DOCS / "models.md").read_text()
    named = {name.lower() for name in re.findall(r"`([A-Z_]+_(?:KEY|URL))`", text)}
    assert named <= set(Settings.model_fields)
    vendors = re.compile("(openai|anthropic|google|xai|github_copilot|local_model)_(api_key|base_url|url)$")
    # Google's other APIs are no models.
    assert named >= {name for name in Settings.model_fields if vendors.match(name)} - {"google_api_url"}
