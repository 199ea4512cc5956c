"""How the assets are cut: by project and by brief."""

from dagster import BackfillPolicy, DynamicPartitionsDefinition

projects = DynamicPartitionsDefinition(name="projects")
briefs = DynamicPartitionsDefinition(name="briefs")
# What is paid is the start of a run process: ops take all the briefs of their run at once.
BATCHES = BackfillPolicy.multi_run(max_partitions_per_run=100)
