"""One Settings object; every backend is chosen by the scheme of its URL.

Values come from the environment (and `.env`); nothing here opens a connection. Embedded state lives
under `home` (`.cryptocontent/` in the working directory unless `CRYPTOCONTENT_HOME` says otherwise).
"""

from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_SCHEMES = {
    "database_url": ("sqlite", "postgresql+psycopg"),
    "object_store_url": ("file", "s3"),
    "vector_url": ("file", "http", "https"),
    "embedding_model": ("local",),
    "cache_url": ("sqlite", "redis", "rediss"),
}


class Settings(BaseSettings):
    """What the process was told: one value per backend, limits, and where embedded state lives."""

    model_config = SettingsConfigDict(
        env_file=".env",
        extra="ignore",
        validate_default=True,
        hide_input_in_errors=True,  # it may be a secret
    )

    home: Path = Field(Path(".cryptocontent"), validation_alias="CRYPTOCONTENT_HOME")
    database_url: str = ""
    object_store_url: str = ""
    object_store_access_key: SecretStr = SecretStr("")
    object_store_secret_key: SecretStr = SecretStr("")
    vector_url: str = ""
    vector_api_key: SecretStr = SecretStr("")
    embedding_model: str = "local:wordllama"
    cache_url: str = Field("", description="what processes share of vendors' health and limits")
    openai_api_key: SecretStr = SecretStr("")
    openai_base_url: str = ""
    anthropic_api_key: SecretStr = SecretStr("")
    anthropic_base_url: str = ""
    google_api_key: SecretStr = SecretStr("")
    google_base_url: str = ""
    xai_api_key: SecretStr = SecretStr("")
    xai_base_url: str = "https://api.x.ai/v1"
    github_copilot_api_key: SecretStr = SecretStr("")
    github_copilot_base_url: str = ""
    local_model_url: str = Field("", description="an OpenAI-compatible server: http://127.0.0.1:11434/v1")
    local_model_api_key: SecretStr = SecretStr("")
    # Integrations: each is off until its credentials are here and a source or target names it.
    google_credentials_file: Path | None = Field(None, description="service account or authorized user, JSON")
    google_impersonate: str = Field("", description="the person for whom a service account acts, if any")
    google_api_url: str = Field("", description="another root for Google's APIs")
    linear_api_key: SecretStr = SecretStr("")
    linear_client_id: str = Field("", description="an OAuth application, in place of an API key")
    linear_client_secret: SecretStr = SecretStr("")
    linear_webhook_secret: SecretStr = SecretStr("")
    linear_api_url: str = "https://api.linear.app"
    github_token: SecretStr = SecretStr("")
    github_app_id: str = Field("", description="a GitHub App, in place of a token")
    github_app_private_key_file: Path | None = None
    github_api_url: str = "https://api.github.com"
    wordpress_logins: dict[str, SecretStr] = Field(
        {}, description='application passwords by host, as JSON: {"blog.example": "user:password"}'
    )
    coingecko_api_key: SecretStr = SecretStr("")
    coingecko_url: str = "https://api.coingecko.com/api/v3"
    defillama_url: str = "https://api.llama.fi"
    defillama_coins_url: str = "https://coins.llama.fi"
    web_private_hosts: list[str] = Field(
        [], description="host:port pairs of the private network that pages may be fetched from, as JSON"
    )
    web_user_agent: str = "cryptocontent/0.1 (reference importer)"
    alert_webhook_url: SecretStr = SecretStr("")
    alert_email_to: str = Field("", description="addresses, separated by commas")
    alert_email_from: str = "cryptocontent@localhost"
    smtp_url: SecretStr = Field(SecretStr(""), description="smtp://user:password@host:587 or smtps://…:465")
    public_url: str = Field("", description="where people open the Studio; links in messages lead there")
    max_document_bytes: int = Field(25_000_000, gt=0, description="larger source files are refused")
    batch_size: int = Field(100, ge=1, le=100, description="briefs per Dagster run")
    calls_in_flight: int = Field(20, ge=1, description="concurrent agent calls inside one op")

    @model_validator(mode="after")
    def _embedded_defaults(self) -> Self:
        self.home = self.home.absolute()
        self.database_url = self.database_url or f"sqlite:///{self.home / 'cryptocontent.db'}"
        self.object_store_url = self.object_store_url or f"file://{self.home / 'objects'}"
        self.vector_url = self.vector_url or f"file://{self.home / 'vectors'}"
        self.cache_url = self.cache_url or f"sqlite:///{self.home / 'cache.db'}"
        return self

    @field_validator(*_SCHEMES)
    @classmethod
    def _known_scheme(cls, value: str, info) -> str:  # type: ignore[no-untyped-def]
        allowed = _SCHEMES[info.field_name]
        if value and value.split(":", 1)[0] not in allowed:
            # What has no scheme may be a secret in the wrong place: it is not repeated.
            scheme = f"{value.split(':', 1)[0]}:…" if ":" in value else "a value without a scheme"
            name = info.field_name.upper()
            raise ValueError(f"{name}: {scheme} is not supported; allowed schemes: {', '.join(allowed)}")
        return value

    @cached_property
    def exports_dir(self) -> Path:
        """Where exported articles are written."""
        return self.home / "exports"
