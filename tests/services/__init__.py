"""Real services for tests, started from wheels: no Docker, nothing to install, nothing left running."""
