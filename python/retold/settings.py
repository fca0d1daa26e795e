"""What can be configured from outside: by environment (``RETOLD_…``); flags and arguments come before it."""

from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from retold.errors import InputError

Profile = Literal["safe", "balanced", "fast"]
"""How often the embedded server makes what it acknowledged durable: at once, every second, or every two minutes."""


class Settings(BaseSettings):
    """Hold the configuration of one process.

    Attributes:
        url: the NATS server to use; None is the embedded one.
        data_dir: where the embedded server keeps its store.
        profile: the embedded server's durability.
        key_file: the file of master keys that data keys are wrapped by; None is a log that is not sealed.
        summarizer: what a worker writes summaries with (`retold.wiring.summarizer_of`).
        summarizer_url: where that model is served; None is its provider.
        remote: which provider compacts the sessions whose policy is ``codex-remote`` (`retold.wiring.remote_of`).
        remote_url: where that provider is; None is its own address.
        replicas: on how many servers of a cluster each stream is kept that is created from now on.
        lease_ttl_s: how long a worker may be silent before the others take over its share.
    """

    model_config = SettingsConfigDict(env_prefix="RETOLD_", env_ignore_empty=True, extra="ignore", frozen=True)

    url: str | None = None
    data_dir: Path = Field(default_factory=lambda: platformdirs.user_data_path("retold"))
    profile: Profile = "safe"
    key_file: Path | None = None
    summarizer: str = "extractive"
    summarizer_url: str | None = None
    remote: str | None = None
    remote_url: str | None = None
    replicas: int = Field(default=1, ge=1, le=5)
    lease_ttl_s: float = Field(default=10.0, ge=0.5, le=3600)


def read_settings() -> Settings:
    """Return the configuration as the environment gives it now.

    Raises:
        InputError: if a variable has a value that it cannot have.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
        told = "; ".join(f"RETOLD_{'_'.join(map(str, one['loc'])).upper()}: {one['msg']}" for one in wrong)
        raise InputError(f"expected settings that can be used, got {told}") from None
