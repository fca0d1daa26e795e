"""What can be configured from outside: by environment (``RETOLD_…``); flags and arguments come before it."""

from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Profile = Literal["safe", "balanced", "fast"]
"""How often the embedded server makes what it acknowledged durable: at once, every second, or every two minutes."""


class Settings(BaseSettings):
    """Hold the configuration of one process.

    Attributes:
        url: the NATS server to use; None is the embedded one.
        data_dir: where the embedded server keeps its store.
        profile: the embedded server's durability.
    """

    model_config = SettingsConfigDict(env_prefix="RETOLD_", extra="ignore", frozen=True)

    url: str | None = None
    data_dir: Path = Field(default_factory=lambda: platformdirs.user_data_path("retold"))
    profile: Profile = "safe"
