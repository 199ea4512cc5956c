"""Dagster resources: thin, each hands a domain service its settings."""
