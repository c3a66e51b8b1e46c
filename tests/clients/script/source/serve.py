"""The user's own module of this name; nobody but the user may import it."""

raise RuntimeError("the user's serve.py was imported by a toolkit")
