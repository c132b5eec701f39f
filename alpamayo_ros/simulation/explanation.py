"""The causal ground truth of a moment: its decision, and what proved to cause it when it was taken away."""

from __future__ import annotations

from dataclasses import dataclass

from alpamayo_ros.simulation.actor import ActorKind
from alpamayo_ros.simulation.component import clear_lane, component, light_component
from alpamayo_ros.simulation.decision import Taken, axes, decide, run_start
from alpamayo_ros.simulation.episode import Episode
from alpamayo_ros.simulation.intervention import (
    HORIZON,
    Effect,
    compare,
    continue_from,
    named_causes,
    with_lamp,
    without,
)
from alpamayo_ros.simulation.lateral import LANE_CHANGES
from alpamayo_ros.simulation.road import Lamp
from alpamayo_ros.simulation.route import LANE_END, Control
from alpamayo_ros.simulation.surroundings import look_around
from alpamayo_ros.simulation.visibility import visible_in_history
from alpamayo_ros.simulation.world import EGO_WIDTH, World
from alpamayo_ros.types import CriticalComponent, Decision, LateralDecision, LongitudinalDecision
from alpamayo_ros.types.rig import Rig

LEADING = (LongitudinalDecision.LEAD_OBSTACLE_FOLLOWING, LongitudinalDecision.ACCELERATION_FOR_PASSING)
LONGEST_FORK = 30
"""A manoeuvre that began more than so many ticks ago is judged from there on."""
GREEN_AHEAD = 32.0
"""A green light this near ahead, in metres, is why one drives on."""
CLEAR_S, CLEAR_M = 3.0, 10.0
"""Seconds and metres: a lane with somebody nearer ahead is not called clear, even where he changes nothing."""
LEAVING = 0.5
"""m/s to the side, from which on somebody counts as crossing the lane or driving out of it."""


@dataclass(frozen=True)
class Cause:
    """Something that was taken away, and what changed.

    proximate: the decision names it; a cause that is not proximate acts through another one, or is one of several.
    preempted: without it the speed would be much the same, because another cause takes its place. observed: it was
    seen in the two seconds before.
    """

    id: str
    component: CriticalComponent
    longitudinal: bool
    lateral: bool
    proximate: bool
    preempted: bool
    observed: bool
    effect: Effect | None


@dataclass(frozen=True)
class Explanation:
    """The decision at a tick, its causes, and the identities that proved to cause nothing."""

    tick: int
    decision: Decision
    causes: tuple[Cause, ...]
    innocent: tuple[str, ...]

    @property
    def components(self) -> tuple[CriticalComponent, ...]:
        """What a trace may and should name: proximate causes that were observed."""
        return tuple(cause.component for cause in self.causes if cause.proximate and cause.observed)

    @property
    def observed(self) -> bool:
        """Whether all proximate causes were seen; otherwise the moment cannot be explained from the pictures."""
        return all(cause.observed for cause in self.causes if cause.proximate)


def explain(drive: Episode, tick: int, rig: Rig, others: int = 3) -> Explanation:
    """Explain a moment of a drive that is the expert's from there on, by interventions at that moment.

    others: how many further actors nearby are taken away as well, to prove that they do not matter.
    """
    world, expert = drive.worlds[tick], drive.minds[tick]
    taken = decide(drive.worlds, drive.intents, tick)
    fork = _fork(drive, tick)
    factual = (
        _goes_on(drive, tick)
        if fork == tick
        else continue_from(drive.worlds[fork], drive.minds[fork], HORIZON + tick - fork)
    )
    proximate = [cause for cause in (taken.longitudinal_cause, taken.lateral_cause) if cause is not None]
    if taken.decision.longitudinal is LongitudinalDecision.GAP_SEARCHING:
        # A gap is searched for the sake of a goal, whichever vehicles make it.
        goals = world.scenario.route.goals
        proximate += [goal.id for goal in goals if goal.id not in expert.steering.reached][:1]
    candidates = list(dict.fromkeys([*proximate, *named_causes(factual.intents), *_nearby(world, others)]))
    # While a lane change has not left the old lane, things are seen from there.
    lanes = (expert.steering.home, expert.steering.origin)
    here = look_around(world, 5.0).d
    home = min(lanes, key=lambda lane: abs(lane - here)) if taken.decision.lateral in LANE_CHANGES else lanes[0]
    history = drive.worlds[max(0, tick - 20) : tick + 1]
    causes: list[Cause] = []
    innocent: list[str] = []
    for identity in candidates:
        cause = _test(identity, drive, fork, factual, taken)
        if cause is None:
            innocent.append(identity)
            continue
        causes.append(
            Cause(
                identity,
                component(
                    world,
                    identity,
                    home,
                    lead=identity == taken.longitudinal_cause and taken.decision.longitudinal in LEADING,
                ),
                cause.longitudinal,
                cause.lateral,
                identity in proximate and (_matters(identity, taken) or identity.startswith("goal")),
                cause.preempted,
                visible_in_history(history, identity, rig),
                cause.effect,
            )
        )
    if taken.decision.longitudinal is LongitudinalDecision.SET_SPEED_TRACKING:
        why = _why_go(world, drive, tick, rig)
        if why.id or (_is_clear(world) and not _is_blocked(world, taken)):
            causes.append(why)
    return Explanation(tick, taken.decision, tuple(causes), tuple(innocent))


def _matters(identity: str, taken: Taken) -> bool:
    if identity == taken.longitudinal_cause and taken.decision.longitudinal is not None:
        return True
    return identity == taken.lateral_cause and taken.decision.lateral is not None


def _is_blocked(world: World, taken: Taken) -> bool:
    """Whether one steers because the lane ahead is not clear."""
    blocked = taken.lateral_cause == LANE_END or world.actor(taken.lateral_cause or "") is not None
    return blocked and taken.decision.lateral not in (None, LateralDecision.LANE_KEEPING)


def _is_clear(world: World) -> bool:
    """Whether nobody is in the lane for the next `CLEAR_S` seconds and `CLEAR_M`, but who is about to have left it."""
    me = look_around(world)
    reach = max(CLEAR_S * me.speed, CLEAR_M)
    near = [one for one in me.neighbours if one.s > me.s and one.rear - me.front < reach]
    return not any(abs(one.d - me.d) < one.half_d + EGO_WIDTH / 2 and abs(one.speed_d) < LEAVING for one in near)


@dataclass(frozen=True)
class _Verdict:
    longitudinal: bool
    lateral: bool
    preempted: bool
    effect: Effect | None


def _fork(drive: Episode, tick: int) -> int:
    """The tick from which causes are taken away: before a manoeuvre that is under way at `tick` was begun.

    Once begun, a manoeuvre is carried through; its cause has to be missing when it is decided.
    """
    _, lateral = axes(drive.intents)
    if lateral[tick][0] == LateralDecision.LANE_KEEPING:
        return tick
    return max(run_start(lateral, tick) - 1, tick - LONGEST_FORK, 0)


def _goes_on(drive: Episode, tick: int) -> Episode:
    """What the expert does from a tick on, driven again only where the drive ends before the horizon."""
    end = tick + HORIZON
    if end > len(drive.intents):
        return continue_from(drive.worlds[tick], drive.minds[tick])
    return Episode(drive.worlds[tick : end + 1], drive.minds[tick:end], drive.intents[tick:end])


def _test(identity: str, drive: Episode, fork: int, factual: Episode, taken: Taken) -> _Verdict | None:
    """Take it away and look; None where nothing changes."""
    world = drive.worlds[fork]
    route = world.scenario.route
    if any(manoeuvre.id == identity for manoeuvre in route.manoeuvres):
        # The way the route goes cannot be taken away; it is the cause of following it by definition.
        return _Verdict(False, True, False, None)
    if world.actor(identity) is None and identity.rsplit("-", 1)[0] in set(ActorKind):
        return None
    counterfactual = continue_from(without(world, identity), drive.minds[fork], len(factual.intents))
    effect = compare(factual, counterfactual)
    if effect.any:
        return _Verdict(effect.longitudinal, effect.lateral, False, effect)
    # The same behaviour for another reason: the decision changes hands.
    others = set(named_causes(counterfactual.intents)) - {identity}
    lon = identity == taken.longitudinal_cause and any(i.longitudinal_cause in others for i in counterfactual.intents)
    lat = identity == taken.lateral_cause and any(i.lateral_cause in others for i in counterfactual.intents)
    if lon or lat:
        return _Verdict(lon, lat, True, effect)
    return None


def _nearby(world: World, count: int) -> list[str]:
    """Actors near the ego vehicle, the nearest first: candidates that the expert did not name."""
    me = look_around(world, 60.0)
    near = [o for o in me.neighbours if -15.0 < o.s - me.s < 60.0 and abs(o.d) < 9.0]
    near.sort(key=lambda o: abs(o.s - me.s) + 2.0 * abs(o.d))
    return [o.actor.id for o in near[:count]]


def _why_go(world: World, drive: Episode, tick: int, rig: Rig) -> Cause:
    """Why to drive at the wanted speed: the light is green, if it is what would stop us; else the lane is clear."""
    me = look_around(world)
    for rule in world.scenario.route.stops:
        if rule.control is not Control.LIGHT or rule.light is None or not -4.0 < rule.s - me.front < GREEN_AHEAD:
            continue
        green = any(w.lamp(rule.light) is Lamp.GREEN for w in drive.worlds[tick : tick + 6])
        red = continue_from(with_lamp(world, rule.light, Lamp.RED), drive.minds[tick])
        effect = compare(_goes_on(drive, tick), red)
        if green and effect.longitudinal:
            seen = visible_in_history(drive.worlds[max(0, tick - 20) : tick + 1], rule.light, rig)
            shown = light_component(world, rule.light, Lamp.GREEN)
            return Cause(rule.id, shown, True, False, True, False, seen, effect)
    return Cause("", clear_lane(), True, False, True, False, True, None)
