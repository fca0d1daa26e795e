"""Bundles: the neighbours that one message of a provider's form holds together."""

from collections.abc import Callable, Iterable, Iterator

from retold.events.items import Item


def bundle_items(items: Iterable[Item], *, joins: Callable[[Item, Item], bool]) -> Iterator[list[Item]]:
    """Yield the runs of *items* in which every neighbour *joins* the one before it, in order; no run is empty."""
    run: list[Item] = []
    for item in items:
        if run and not joins(run[-1], item):
            yield run
            run = []
        run.append(item)
    if run:
        yield run


def same_group(before: Item, after: Item) -> bool:
    """Tell whether both belong to one model response."""
    return before.group is not None and before.group == after.group
