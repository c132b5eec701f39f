"""`--switch`: the engine's switches on the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

if TYPE_CHECKING:
    from alpamayo_ros.engine.switches import Switches

_Command = TypeVar("_Command", bound=Callable[..., None])


def switch_option(command: _Command) -> _Command:
    """Hands the command `changes`, for `changed`."""
    return click.option(
        "--switch", "changes", multiple=True, metavar="NAME=VALUE",
        help="One switch of the engine, on or off (float8: weights, weights_and_activations); any number of times.",
    )(command)  # fmt: skip


def changed(switches: Switches, changes: tuple[str, ...]) -> Switches:
    """These switches but for the changes. Raises click.BadParameter."""
    from alpamayo_ros.engine.switches import Float8

    for change in changes:
        name, _, value = change.partition("=")
        meant: dict[str, Any] = {"on": True, "off": False}
        if name == "float8":
            meant = {kind: kind for kind in get_args(Float8)}
        if name not in dataclasses.asdict(switches) or value not in meant:
            known = ", ".join(dataclasses.asdict(switches))
            raise click.BadParameter(
                f"{change!r} is no NAME={'|'.join(meant)}; the names are {known}", param_hint="--switch"
            )
        switches = dataclasses.replace(switches, **{name: meant[value]})
    return switches
