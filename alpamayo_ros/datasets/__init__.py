"""Samples from files: recordings on disk."""
