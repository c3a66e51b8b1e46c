"""What is told of a model: a table for people, JSON for programs, a picture of its network."""
