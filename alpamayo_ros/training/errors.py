"""The error of this room."""


class TrainingError(ValueError):
    """Training that cannot begin or go on as asked: the message says what is wrong, where, and what to do."""
