"""No plan, and why."""


class Refusal(ValueError):  # noqa: N818, a refusal is an answer, not a fault
    """There is no honest observation at the asked time: the message names the source, the value and the remedy."""
