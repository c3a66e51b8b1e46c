"""Spark ML pipelines that MLeap saved: read, run for a row at a time, and served."""
