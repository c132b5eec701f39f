"""`alpamayo replay`: a bag into live topics."""

from __future__ import annotations

from pathlib import Path

import click


class _Renaming(click.ParamType):
    name = "A:=B"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        old, arrow, new = value.partition(":=")
        if not (old and arrow and new):
            self.fail(f"{value!r} is no renaming such as /odom:=/localization/odom", param, ctx)
        return old, new


@click.command()
@click.argument("bag", type=Path)
@click.option("--rate", type=float, default=1.0, show_default=True, help="Bag seconds per second.")
@click.option("--loop", is_flag=True, help="Start again at the end: time goes back.")
@click.option("--start", type=click.FloatRange(0), default=0.0, show_default=True, help="Seconds into the bag.")
@click.option("--topics", default="", help="Only these, with commas between; by default all.")
@click.option("--remap", type=_Renaming(), multiple=True, help="Publish topic A as B; may be given more than once.")
@click.option("--clock/--no-clock", default=True, show_default=True, help="Publish the time of the bag on /clock.")
@click.option(
    "--plans/--no-plans",
    default=True,
    show_default=True,
    help="Publish the plans that are in the bag; not beside a planner that runs.",
)
@click.option("--wait", type=click.FloatRange(0), help="Seconds in which somebody must subscribe before it starts.")
def replay(
    bag: Path, rate: float, loop: bool, start: float, topics: str, remap: tuple[tuple[str, str], ...], clock: bool,
    plans: bool, wait: float | None,
) -> None:  # fmt: skip
    """Play BAG, a rosbag2, into live topics."""
    from alpamayo_ros.datasets.bag_reader import BagReader

    try:
        from alpamayo_ros.nodes.replay import Replay, ReplayOptions, replay_node
    except ImportError as error:
        raise click.ClickException(f"{error}: replay needs ROS 2; source its setup.bash") from None
    from tqdm import tqdm

    chosen = tuple(name.strip() for name in topics.split(",") if name.strip())
    options = ReplayOptions(rate, loop, start, chosen, dict(remap), clock, plans, wait)
    with replay_node() as node, BagReader(bag) as reader:
        playing = Replay(node, reader, options)
        for line in playing.skipped:
            click.echo(line, err=True)
        total = (reader.end_ns - reader.start_ns) / 1e9
        with tqdm(total=total, desc="replay", disable=None, bar_format=_BAR) as bar:

            def told(logged_ns: int) -> None:
                at = (logged_ns - reader.start_ns) / 1e9
                if at < bar.n:
                    bar.reset()  # the next round of a loop
                bar.update(at - bar.n)

            played = playing.run(told)
    click.echo(f"played {played.published} messages, each within {played.late_s * 1e3:.0f} ms of its time")


_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total:.1f} s of the bag"
