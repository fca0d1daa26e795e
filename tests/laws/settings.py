"""How laws are run: every example chosen the same way in every run, their number bounded.

``RETOLD_LAW_EXAMPLES=20`` multiplies the examples and takes new ones each time: for hunting, not for the suite. In the
suite a failure is shown as it was found: making it smaller takes many runs, and a test that runs out of time for that
does not say what failed. ``RETOLD_LAW_SHRINK=1`` makes it smaller.
"""

import os

from hypothesis import HealthCheck, Phase, settings

TIMES = int(os.environ.get("RETOLD_LAW_EXAMPLES", "1"))

settings.register_profile(
    "laws",
    derandomize=TIMES == 1,
    database=None,
    deadline=None,
    print_blob=False,
    phases=[phase for phase in Phase if phase is not Phase.shrink or "RETOLD_LAW_SHRINK" in os.environ],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def law(examples: int) -> settings:
    """Return the settings of a law that is tried on *examples* examples."""
    return settings(settings.get_profile("laws"), max_examples=examples * TIMES)
