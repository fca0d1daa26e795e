"""Print a dashboard's expressions as recording rules, so that promtool reads them: python expressions.py DASHBOARD."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path


def expressions(dashboard: Path) -> Iterator[str]:
    """Yield every expression of *dashboard*, with an interval where Grafana puts one."""
    for panel in json.loads(dashboard.read_text())["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "1m")


if __name__ == "__main__":
    rules = [
        {"record": f"dashboard:expression:{number}", "expr": one}
        for number, one in enumerate(expressions(Path(sys.argv[1])))
    ]
    print(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
