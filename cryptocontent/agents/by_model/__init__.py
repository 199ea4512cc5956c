"""The model engines of the five stages, `(Work, Desk) -> Work`, and what they share."""
