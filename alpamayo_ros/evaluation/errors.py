"""What an evaluation cannot be run with."""


class EvaluationError(ValueError):
    """A request for an evaluation that cannot be met: the message names the value and the remedy."""
