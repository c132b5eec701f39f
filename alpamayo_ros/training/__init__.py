"""Training: a recipe, samples and a model folder go in, a model folder comes out. Begin with `trainer.py`."""
