"""A report for those who read it: at a terminal, in a program, in CI, in a browser."""
