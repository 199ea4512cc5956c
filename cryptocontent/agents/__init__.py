"""The pipeline and its five agents. Knows nothing of Dagster."""
