"""The data keys of one session, ready to seal and to open."""

from collections.abc import Iterable, Mapping

from retold.errors import SealError
from retold.events import Sealed
from retold.security.keys import DataKey
from retold.security.sealing import Cipher


class Ring:
    """Seal with the newest key of a session, open with any; a `retold.events.Seal`.

    *missing* names data keys that exist but could not be unwrapped, each with the master key that it needs. *current*
    is the id of the key that seals, or None for a ring that only opens.
    """

    def __init__(
        self, keys: Iterable[DataKey], *, session: str, current: str | None, missing: Mapping[str, str] | None = None
    ) -> None:
        self._ciphers = {key.id: Cipher(key) for key in keys}
        self._session = session
        self._missing = dict(missing or {})
        self.current = current

    def __contains__(self, key_id: str) -> bool:
        """Return whether the ring opens what was sealed with that key."""
        return key_id in self._ciphers

    def seal(self, text: bytes, *, bound: bytes) -> Sealed:
        """Seal *text* with the current key; see `retold.events.Seal`."""
        if self.current is None:
            raise SealError(f"expected a data key to seal session {self._session!r} with, there is none", key="")
        cipher = self._cipher(self.current)
        return Sealed(key=self.current, text=cipher.seal(text, bound=bound))

    def open(self, sealed: Sealed, *, bound: bytes) -> bytes | None:
        """Open *sealed*; see `retold.events.Seal`."""
        return self._cipher(sealed.key).open(sealed.text, bound=bound)

    def _cipher(self, key_id: str) -> Cipher:
        found = self._ciphers.get(key_id)
        if found is not None:
            return found
        master = self._missing.get(key_id)
        raise missing_key(key_id, session=self._session, master=master)


def missing_key(key_id: str, *, session: str, master: str | None) -> SealError:
    """Return the error of a data key that cannot be had: its master key is not given, or it was destroyed."""
    if master is None:
        return SealError(
            f"session {session!r} is sealed with data key {key_id!r}, which the log does not hold: it was destroyed, "
            "or this is a copy without its keys",
            key=key_id,
        )
    return SealError(
        f"session {session!r} is sealed with data key {key_id!r} under master key {master!r}, which was not given: "
        "name the key file (RETOLD_KEY_FILE, or keys=) that holds it",
        key=master,
    )
