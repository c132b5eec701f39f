"""What can be wrong with what a user gives the network. Each message names the value and the remedy."""


class CheckpointError(ValueError):
    """A model folder that cannot be loaded: configuration, vocabulary or weights."""


class ModelInputError(ValueError):
    """Pictures, text or options that the model cannot take."""
