"""`cryptocontent eval` and `doctor`: is it good, is it well."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from cryptocontent.cli.session import JsonOption, ProjectOption, command, current, print_rows

evaluation = typer.Typer(
    help="Measure the platform on data of your own.", no_args_is_help=True, rich_markup_mode=None
)
# `user:PASSWORD@` of a URL; a password may itself contain an `@`.
_PASSWORD = re.compile(r"://[^/:@]*:([^/]+)@")


@evaluation.callback()
def _evaluation() -> None:
    """Keeps `retrieval` a subcommand while it is the only one."""


@evaluation.command("retrieval")
@command
def retrieval(
    queries: Annotated[Path, typer.Option(help="TSV: query, tab, id of the document that answers it.")],
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print MRR@10, recall@10 and nDCG@10 for dense, BM25 and the product's own ranking."""
    from cryptocontent.errors import Refused
    from cryptocontent.knowledge.evaluation import evaluate, read_queries
    from cryptocontent.knowledge.search import rank_documents, reference_names

    name = current.project(project)
    try:
        judged = read_queries(queries)
    except ValueError as error:
        raise Refused(str(error)) from None
    names = reference_names(current.engine, name)
    if unknown := [item.document for item in judged if item.document not in names]:
        raise Refused(
            f"{queries}: document {unknown[0]!r} is not a reference of project {name!r} "
            f"({len(unknown)} of {len(judged)} are not); give its file name, with or without folder"
        )
    rows = []
    for label, mode in (("dense", "dense"), ("BM25", "bm25"), ("product", "hybrid")):
        texts = [item.text for item in judged]
        rankings = rank_documents(current.engine, current.settings, name, texts, mode)  # type: ignore[arg-type]
        found = evaluate(rankings, [names[item.document] for item in judged])
        rows.append(
            {
                "ranking": label,
                "mrr10": round(found.mrr10, 4),
                "recall10": round(found.recall10, 4),
                "ndcg10": round(found.ndcg10, 4),
                "queries": found.queries,
            }
        )
    columns = {"ranking": "Ranking", "mrr10": "MRR@10", "recall10": "Recall@10", "ndcg10": "nDCG@10"}
    print_rows(rows, columns | {"queries": "Queries"}, as_json=as_json, empty="no queries")


@command
def doctor(as_json: JsonOption = False) -> None:
    """Say what is configured, what can be reached, and what is missing."""
    rows = [_check(label, where, look) for label, where, look in _checks()]
    columns = {"what": "What", "configured": "Configured", "state": "State", "detail": "Detail"}
    print_rows(rows, columns, as_json=as_json, empty="")
    if any(row["state"] == "broken" for row in rows):
        raise typer.Exit(1)


def _check(label: str, where: str, look: Any) -> dict[str, str]:
    try:
        state, detail = look()
    except Exception as error:  # whatever is wrong with a backend is the answer
        state, detail = (
            "broken",
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
        )
    return {"what": label, "configured": _masked(where), "state": state, "detail": _masked(detail)}


def _masked(text: str) -> str:
    """The text without the settings' passwords and keys: none may stand in a report."""
    from urllib.parse import unquote

    from pydantic import SecretStr

    settings = current.settings
    urls = (settings.database_url, settings.object_store_url, settings.vector_url, settings.cache_url)
    secrets = {found[1] for url in urls if (found := _PASSWORD.search(url))}
    secrets |= {unquote(secret) for secret in secrets}
    keys = (getattr(settings, name) for name in type(settings).model_fields)
    secrets |= {key.get_secret_value() for key in keys if isinstance(key, SecretStr)}
    for secret in sorted(secrets - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _checks() -> list[tuple[str, str, Any]]:
    from cryptocontent.agents.pipeline import PIPELINE

    settings = current.settings
    return [
        ("database", settings.database_url, _database),
        ("object store", settings.object_store_url, _objects),
        ("search index", settings.vector_url, _index),
        ("embeddings", settings.embedding_model, _embeddings),
        ("Dagster", str(settings.home / "dagster"), _dagster),
        ("agents", f"{len(PIPELINE)} stages", _agents),
        ("models", settings.cache_url, _models),
    ]


def _database() -> tuple[str, str]:
    from cryptocontent.content.projects import list_projects
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        projects = list_projects(session)
    return "ok", f"{len(projects)} projects, {sum(row['articles'] for row in projects)} articles"


def _objects() -> tuple[str, str]:
    key = "doctor/probe"
    current.objects.put(key, b"probe", "text/plain")
    return (
        ("ok", "written and read back")
        if current.objects.get(key) == b"probe"
        else ("broken", "read back wrong")
    )


def _index() -> tuple[str, str]:
    from cryptocontent.content.projects import list_projects
    from cryptocontent.knowledge.search import passage_counts
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        projects = [row["id"] for row in list_projects(session)]
    counts = passage_counts(current.engine, current.settings, projects)
    wrong = [f"{name}: {there} of {wanted}" for name, (there, wanted) in counts.items() if there != wanted]
    if wrong:
        return (
            "stale",
            f"{', '.join(wrong)} passages; `cryptocontent ingest` or the asset `passages` mends it",
        )
    return "ok", f"{sum(there for there, _ in counts.values())} passages"


def _embeddings() -> tuple[str, str]:
    from cryptocontent.knowledge.embedding import open_embedder

    embedder = open_embedder(current.settings.embedding_model)
    return "ok", f"{embedder.embed(['probe']).shape[1]} dimensions"


def _dagster() -> tuple[str, str]:
    from dagster import DagsterInstance

    from cryptocontent.cli.local_run import daemon_reported
    from cryptocontent.resources.instance import prepare_dagster_home

    prepare_dagster_home(current.settings)
    with DagsterInstance.get() as instance:
        runs = instance.get_runs_count()
        alive = daemon_reported(instance)
    return "ok", f"{runs} runs; " + ("the daemon runs" if alive else "no daemon runs (`make dev` starts it)")


def _agents() -> tuple[str, str]:
    from cryptocontent.agents.pipeline import PIPELINE

    return "ok", ", ".join(f"{agent.stage} {agent.version}" for agent in PIPELINE)


def _models() -> tuple[str, str]:
    """Nothing is asked of any vendor here: `cryptocontent models test` does."""
    from cryptocontent.content.projects import list_projects
    from cryptocontent.llm.policies import load_policies
    from cryptocontent.llm.providers import configured
    from cryptocontent.storage import reading

    there = configured(current.settings)
    with reading(current.engine) as session:
        policies = {row["id"]: load_policies(session, row["id"]) for row in list_projects(session)}
    missing = {
        f"{project}: {candidate.model} has no key or URL"
        for project, one in policies.items()
        for policy in (one.default, *one.stages.values())
        for candidate in policy.candidates
        if policy.engine == "model" and not there[candidate.provider]
    }
    if missing:
        return "broken", "; ".join(sorted(missing))
    using = sum(
        any(policy.engine == "model" for policy in (one.default, *one.stages.values()))
        for one in policies.values()
    )
    ready = ", ".join(name for name, is_there in there.items() if is_there) or "none"
    return "ok", f"{using} of {len(policies)} projects use models; providers with a key: {ready}"
