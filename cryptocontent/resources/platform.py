"""The Dagster resources: each hands a domain service the settings that it needs."""

from collections.abc import Sequence
from functools import lru_cache

from dagster import ConfigurableResource
from sqlalchemy import Engine

from cryptocontent.agents.agent import Agent
from cryptocontent.agents.desk import Models
from cryptocontent.agents.pipeline import PIPELINE, Pipeline
from cryptocontent.agents.staffing import Staffing
from cryptocontent.events import Live
from cryptocontent.settings import Settings
from cryptocontent.storage import ObjectStore, open_object_store, reading, ready_engine
from cryptocontent.storage.models import Generation


@lru_cache(maxsize=1)
def _settings() -> Settings:
    return Settings()


class PlatformResource(ConfigurableResource):
    """Settings, database and object store, as the environment names them."""

    @property
    def settings(self) -> Settings:
        """What the process was told."""
        return _settings()

    @property
    def engine(self) -> Engine:
        """The database, at the newest migration."""
        return ready_engine(self.settings.database_url)

    @property
    def objects(self) -> ObjectStore:
        """The object store."""
        settings = self.settings
        return open_object_store(
            settings.object_store_url,
            settings.object_store_access_key.get_secret_value(),
            settings.object_store_secret_key.get_secret_value(),
        )


class PipelineResource(ConfigurableResource):
    """The agents' pipeline. A test or a benchmark hands in another one through `build_defs`."""

    platform: PlatformResource

    def agents(self) -> Sequence[Agent]:
        """The stages, in order."""
        return PIPELINE

    def open(self, run_id: str, generation_id: str = "") -> Pipeline:
        """This run's pipeline: the same object for all of the run's ops. What its models cost is charged to
        the generation; to the run itself, where a backfill asked for it."""
        return _pipeline(self, run_id, generation_id)

    def models(self) -> Models:
        """The models, on first use."""
        from cryptocontent.llm.router import Router

        return Router(self.platform.engine, self.platform.settings)


_pipelines: dict[str, Pipeline] = {}


def _pipeline(resource: PipelineResource, run_id: str, generation_id: str) -> Pipeline:
    if run_id not in _pipelines:
        _pipelines.clear()  # a process carries out one run at a time
        engine = resource.platform.engine
        staffing = Staffing(
            engine, resource.models, Live(engine), generation_id or run_id, _lane(engine, generation_id)
        )
        _pipelines[run_id] = Pipeline(
            engine, run_id, resource.agents(), resource.platform.settings.calls_in_flight, staffing
        )
    return _pipelines[run_id]


def _lane(engine: Engine, generation_id: str) -> str:
    with reading(engine) as session:
        generation = session.get(Generation, generation_id) if generation_id else None
        return generation.lane if generation else "live"
