"""What can be configured from outside: by file, by environment (``RETOLD_…``), and by flags, each before the last.

Rules:
- A setting has one name: ``http_port`` is ``http_port`` in a file, ``RETOLD_HTTP_PORT`` in the environment, and
  ``--http-port`` where a command takes it.
- What may hold a secret can be in a file of its own, which ``RETOLD_…_FILE`` names.
- A file holds nothing that is not read: an unknown name in it is an error. The environment is shared with others
  (Kubernetes adds ``RETOLD_SERVICE_HOST`` where a service is named so), so an unknown name there is none.
"""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from difflib import get_close_matches
from os import environ
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from msgspec import Struct
from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from retold.errors import InputError

Profile = Literal["safe", "balanced", "fast"]
"""How often the embedded server makes what it acknowledged durable: at once, every second, or every two minutes."""
LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

PREFIX = "RETOLD_"
FILE_SUFFIX = "_FILE"
CONFIG = "RETOLD_CONFIG"
SECRETS = frozenset({"url", "summarizer_key", "remote_key"})
"""What is never shown whole, and can be in a file of its own."""
READ_ELSEWHERE = frozenset({CONFIG, "RETOLD_TENANT"})
"""Variables that are read, and are no settings."""
FILE_BYTES_MAX = 1024 * 1024
"""A file of settings, or of one secret, is smaller."""
LAG_S = 60.0
"""A worker that is later than this with any session says so in its readiness."""

_FilePath = Annotated[Path, AfterValidator(lambda path: path.expanduser())]


class Settings(BaseSettings):
    """Hold the configuration of one process.

    Attributes:
        url: the NATS server to use, or several of one cluster with commas between; None is the embedded one.
        data_dir: where the embedded server keeps its store.
        profile: the embedded server's durability.
        key_file: the file of master keys that data keys are wrapped by; None is a log that is not sealed.
        summarizer: what a worker writes summaries with (`retold.wiring.summarizer_of`).
        summarizer_url: where that model is served; None is its provider.
        summarizer_key: that provider's key; None is as its client finds it (``OPENAI_API_KEY``, ``ANTHROPIC_API_KEY``).
        remote: which provider compacts the sessions whose policy is ``codex-remote`` (`retold.wiring.remote_of`).
        remote_url: where that provider is; None is its own address.
        replicas: on how many servers of a cluster each stream is kept that is created from now on.
        lease_ttl_s: how long a worker may be silent before the others take over its share.
        remote_key: its key; None as for the summarizer.
        http_host: where a worker serves its health and metrics.
        http_port: on which port; None serves nothing.
        log_format: how a worker writes its log: for people, or a JSON object a line.
        log_level: what it leaves out.
        worker_name: what a worker is called in lists; None is the host's name and the process's number.
        ready_lag_s: how late a worker may be with a session and still be ready.
        live_mb: what a worker's live sessions may take in memory, in megabytes.
        summary_timeout_s: how long a summary by a model may take; a model's own patience ends at 110 s.
        models_at_once: how many models a worker asks at once.
        tenant_models_at_once: how many of them may be for one tenant; 0: all.
        tenant_calls_a_minute: how many summaries a tenant may have written by models within a minute; 0: any number.
        tenant_tokens_a_minute: how many tokens these may take; 0: any number.
        nats_creds: a file of NATS credentials (a JWT and its key).
        nats_tls_ca: the authorities that the server's certificate must come from, PEM; None are the system's.
        nats_tls_cert: this process's own certificate, PEM.
        nats_tls_key: its key.
        nats_healthz: the server's own health page, ``http://HOST:8222/healthz``; None is not asked.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    url: str | None = None
    data_dir: _FilePath = Field(default_factory=lambda: platformdirs.user_data_path("retold"))
    profile: Profile = "safe"
    key_file: _FilePath | None = None
    summarizer: str = "extractive"
    summarizer_url: str | None = None
    summarizer_key: str | None = None
    remote: str | None = None
    remote_url: str | None = None
    replicas: int = Field(default=1, ge=1, le=5)
    lease_ttl_s: float = Field(default=10.0, ge=0.5, le=3600)
    remote_key: str | None = None
    http_host: str = "127.0.0.1"
    http_port: int | None = Field(default=None, ge=0, le=65535)
    log_format: LogFormat = "text"
    log_level: LogLevel = "info"
    worker_name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    ready_lag_s: float = Field(default=LAG_S, gt=0)
    live_mb: int = Field(default=512, ge=1)
    summary_timeout_s: float = Field(default=120.0, gt=0, le=120)
    models_at_once: int = Field(default=16, ge=1)
    tenant_models_at_once: int = Field(default=0, ge=0)
    tenant_calls_a_minute: int = Field(default=0, ge=0)
    tenant_tokens_a_minute: int = Field(default=0, ge=0)
    nats_creds: _FilePath | None = None
    nats_tls_ca: _FilePath | None = None
    nats_tls_cert: _FilePath | None = None
    nats_tls_key: _FilePath | None = None
    nats_healthz: str | None = Field(default=None, pattern=r"^https?://")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where values come from, the first that has one wins."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings, *(source.values for source in _sources()))


class Given(Struct, frozen=True):
    """Hold what the command line says: the file of settings, and values that come before all others."""

    file: Path | None = None
    flags: Mapping[str, Any] = {}


_given: ContextVar[Given] = ContextVar("given", default=Given())  # noqa: B039 - it is frozen


def give(*, file: Path | None = None, **flags: Any) -> None:
    """Put *flags* before what environment and file say, and read *file* instead of the one that the environment names.

    It holds for what runs from here on in this context. What is None says nothing.
    """
    before = _given.get()
    said = {name: value for name, value in flags.items() if value is not None}
    _given.set(Given(file=before.file if file is None else file, flags={**before.flags, **said}))


class _Source(Struct, frozen=True):
    """Name a place that settings come from; *place* has ``{name}`` or ``{variable}`` where the setting's stands."""

    kind: str
    place: str
    values: InitSettingsSource | EnvSettingsSource


class Told(Struct, frozen=True):
    """Say what a setting is, and where that comes from.

    Attributes:
        value: as it is used; a secret is shortened.
        kind: ``flag``, ``environment``, ``secret file``, ``file`` or ``default``.
        place: the flag, variable or line.
    """

    name: str
    value: Any
    kind: str
    place: str


def config_file() -> Path | None:
    """Return the file of settings that is asked for, by flag or environment."""
    named = environ.get(CONFIG)
    return _given.get().file or (Path(named) if named else None)


def read_settings() -> Settings:
    """Return the configuration as flags, environment and file give it now.

    Raises:
        InputError: if the file cannot be read or holds what is no setting, or a value cannot be used; each is named
            with the place that it comes from.
    """
    sources = _sources()
    try:
        return Settings()
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
        told = "; ".join(f"{_place(str(one['loc'][0]), sources)[1]}: {one['msg']}" for one in wrong)
        raise InputError(f"expected settings that can be used, got {told}") from None


def tell_settings() -> list[Told]:
    """Return every setting with where it comes from; secrets are shortened. Raises as `read_settings`."""
    settings, sources = read_settings(), _sources()
    return [Told(name, _shown(name, getattr(settings, name)), *_place(name, sources)) for name in Settings.model_fields]


def unread_variables() -> dict[str, str]:
    """Return the variables of the environment that look like settings and are none, each with the nearest that is."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | READ_ELSEWHERE
    known |= {PREFIX + name.upper() + FILE_SUFFIX for name in SECRETS}
    strange = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    return {name: next(iter(get_close_matches(name, sorted(known), n=1)), "") for name in strange}


def _sources() -> list[_Source]:
    """Return where values come from, the first that has one wins."""
    given, file = _given.get(), config_file()
    found = [
        _Source("flag", "--{flag}", InitSettingsSource(Settings, dict(given.flags))),
        _Source("environment", "{variable}", EnvSettingsSource(Settings)),
        _Source("secret file", "{variable}" + FILE_SUFFIX, InitSettingsSource(Settings, _secrets())),
    ]
    if file is not None:
        found.append(_Source("file", str(file), InitSettingsSource(Settings, _file_values(file))))
    return found


def _secrets() -> dict[str, Any]:
    """Return the secrets that are in files of their own.

    Raises:
        InputError: if a file cannot be read, or the same is in the environment, too.
    """
    found = {}
    for name in sorted(SECRETS):
        variable = PREFIX + name.upper()
        path = environ.get(variable + FILE_SUFFIX)
        if not path:
            continue
        if environ.get(variable):
            raise InputError(f"expected one of {variable} and {variable}{FILE_SUFFIX}, got both")
        found[name] = _text(Path(path), told=variable + FILE_SUFFIX).strip()
    return found


def _file_values(file: Path) -> dict[str, Any]:
    """Return what *file* says; paths in it are as seen from the folder that it is in.

    Raises:
        InputError: if it cannot be read, is no TOML, or holds what is no setting.
    """
    text = _text(file, told="the file of settings")
    try:
        values = TomlConfigSettingsSource(Settings, file).toml_data
    except ValueError as error:
        raise InputError(f"expected TOML in {file}, got {error}") from None
    for name in values:
        if name not in Settings.model_fields:
            near = next(iter(get_close_matches(name, Settings.model_fields, n=1)), None)
            raise InputError(
                f"expected settings in {file}, got {name!r} in line {_line_of(name, text)}"
                + (f"; nearest: {near!r}" if near else "")
            )
    return {name: _in_folder(name, value, file.parent) for name, value in values.items()}


def _in_folder(name: str, value: Any, folder: Path) -> Any:
    is_path = "Path" in str(Settings.model_fields[name].annotation) and isinstance(value, str)
    return folder / Path(value).expanduser() if is_path else value


def _text(file: Path, *, told: str) -> str:
    """Return what is in *file*, which *told* names.

    Raises:
        InputError: if it cannot be read, is too large, or is no UTF-8.
    """
    try:
        with file.open("rb") as opened:
            held = opened.read(FILE_BYTES_MAX + 1)
        if len(held) > FILE_BYTES_MAX:
            raise InputError(f"expected {told}, {file}, to have at most {FILE_BYTES_MAX} bytes, it has more")
        return held.decode()
    except OSError as error:
        raise InputError(f"expected to read {told}, {file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"expected {told}, {file}, to be UTF-8, it is not at byte {error.start}") from None


def _place(name: str, sources: list[_Source]) -> tuple[str, str]:
    """Return the kind of place that setting *name* comes from, and the place."""
    for source in sources:
        if name in source.values():
            variable, flag = PREFIX + name.upper(), name.replace("_", "-")
            place = source.place.replace("{variable}", variable).replace("{flag}", flag)
            if source.kind == "file":
                place = f"{place}:{_line_of(name, _text(Path(place), told=place))} {name}"
            return source.kind, place
    return "default", "default"


def _line_of(name: str, text: str) -> int:
    """Return the line that sets *name*, 1 where it cannot be told."""
    found = re.search(rf"^[ \t]*(\[+[ \t]*)?[\"']?{re.escape(name)}\b", text, flags=re.MULTILINE)
    return 1 if found is None else text.count("\n", 0, found.start()) + 1


def _shown(name: str, value: Any) -> Any:
    if value is None or name in SECRETS - {"url"}:
        return value and "(set)"
    if isinstance(value, Path):
        return str(value)
    return _hidden(value) if isinstance(value, str) and (name == "url" or name.endswith("_url")) else value


def _hidden(addresses: str) -> str:
    """Return *addresses*, one or several with commas between, without the users and passwords in them."""
    return re.sub(r"(^|,|//)[^/,]*@", r"\1(hidden)@", addresses)
