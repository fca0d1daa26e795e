"""The compactor: follows the log, folds, decides, writes what it decided as events, publishes."""

from retold.worker.compactor import Compactor
from retold.worker.hooks import Hooks
from retold.worker.leasing import LeasedPartitions
from retold.worker.limits import Limits
from retold.worker.live import LiveSession
from retold.worker.worker import Worker

__all__ = ["Compactor", "Hooks", "LeasedPartitions", "Limits", "LiveSession", "Worker"]
