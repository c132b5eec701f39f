"""The rewards of GRPO (arXiv 2511.00088, section 5.3): each a class with one method, better is always more."""
