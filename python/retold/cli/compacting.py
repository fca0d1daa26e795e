"""Compactions on request: of messages in a file, and of a session; and sessions that go on with another model."""

from pathlib import Path
from typing import Annotated, get_args

import msgspec
import typer

from retold.cli.messages import read_messages
from retold.cli.options import Json, Options, console, print_json, run, window_of
from retold.errors import InputError
from retold.events import Policy
from retold.fold import Context
from retold.policy import compact as compact_messages
from retold.policy import limits_for
from retold.replay import load

PolicyName = Annotated[str, typer.Option("--policy", help=f"One of {', '.join(get_args(Policy))}.")]


def policy_of(name: str) -> Policy:
    """Return the policy that an option names.

    Raises:
        InputError: if there is none of that name.
    """
    found: Policy | None = next((one for one in get_args(Policy) if one == name), None)
    if found is None:
        raise InputError(f"expected a policy among {', '.join(get_args(Policy))}, got {name!r}")
    return found


def compact(
    budget: Annotated[int, typer.Option(help="What the result may take as one request, in tokens.")],
    file: Annotated[Path | None, typer.Argument(help="Messages as JSON or JSON lines; without it, stdin.")] = None,
    policy: PolicyName = "ladder",
    keep_recent: Annotated[int | None, typer.Option(help="Newest items that stay whole; else the policy's.")] = None,
    encoding: Annotated[str, typer.Option(help="What counts.")] = "o200k_base",
    as_json: Json = False,
) -> None:
    """Compact a list of messages, without a log, a server or a model; the result has the form of what was given."""
    messages = read_messages(file)
    result = compact_messages(
        messages, budget_tokens=budget, policy=policy_of(policy), keep_recent=keep_recent, encoding=encoding
    )
    if as_json:
        receipt = msgspec.to_builtins(result.receipt)
        print_json({"messages": result.messages, "tokens": result.tokens, "tier": result.tier, "receipt": receipt})
        return
    print_json(result.messages)
    before = result.receipt.tokens_before
    typer.echo(f"{before:,} tokens to {result.tokens:,}: {result.tier or 'they fitted already'}", err=True)


def manage(
    context: typer.Context,
    session: str,
    now: Annotated[bool, typer.Option("--now", help="Ask for it whatever the size.")] = False,
    target: Annotated[int, typer.Option(help="What to come under, in tokens, with --now; 0: the policy's own.")] = 0,
    as_json: Json = False,
) -> None:
    """Ask the worker to compact a session if its size calls for it; for those whose compactions are manual."""
    if target and not now:
        raise InputError("expected --target with --now, got it alone")

    async def work(options: Options) -> int | None:
        async with options.client() as client:
            found = await client.existing(session, tenant=options.tenant)
            return await (found.request_compaction(target_tokens=target) if now else found.manage())

    seq = run(work(context.obj))
    if as_json:
        print_json({"session": session, "requested": seq})
    elif seq is None:
        console().print(f"{session} is below where its policy acts: nothing was asked for")
    else:
        console().print(f"asked for a compaction of {session}: seq {seq}")


def window(
    context: typer.Context,
    session: str,
    hard_limit: Annotated[int, typer.Option(help="What the new model accepts, in tokens.")],
    pre_rot: Annotated[int, typer.Option(help="Where its quality starts to suffer, in tokens; 0: chosen.")] = 0,
    encoding: Annotated[str | None, typer.Option(help="The new model's vocabulary; else as before.")] = None,
    as_json: Json = False,
) -> None:
    """Let a session go on under another model's window; what does not fit there is compacted at once."""
    changed = window_of(hard_limit=hard_limit, pre_rot=pre_rot)

    async def work(options: Options) -> tuple[int, Context]:
        async with options.client() as client:
            found = await client.existing(session, tenant=options.tenant)
            seq = await found.change_window(changed, encoding=encoding)
            return seq, await load(client.log, found.key, at=seq)

    seq, state = run(work(context.obj))
    if as_json:
        print_json({"session": session, "seq": seq, "hard_limit": hard_limit, "pre_rot": changed.pre_rot_tokens})
    else:
        due, is_manual = limits_for(state).offload_at, state.tuning is not None and state.tuning.manual
        when = "when it is asked for" if is_manual else f"from {due:,} on"
        console().print(f"{session} goes on with {hard_limit:,} tokens, compacted {when}: seq {seq}")
