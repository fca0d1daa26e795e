"""A gateway: an agent's provider as seen from outside, which compacts on its own and with any model behind it."""

from retold.gateway.app import Gateway, application
from retold.gateway.compacting import Compactor
from retold.gateway.compactions import Seals
from retold.gateway.limits import Limits
from retold.gateway.upstream import Place, Upstream, open_upstream, place_of

__all__ = ["Compactor", "Gateway", "Limits", "Place", "Seals", "Upstream", "application", "open_upstream", "place_of"]
