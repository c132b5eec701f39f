"""The network as the checkpoint stores it. Read `model.py` first: it calls everything else in order."""
