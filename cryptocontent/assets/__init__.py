"""The software-defined assets: the road from references to exports."""

import warnings

from dagster_shared.utils.warnings import BetaWarning, PreviewWarning

# `backfill_policy` is "beta" and partitions of checks are a "preview" in Dagster's words; the pin in
# pyproject.toml is the answer to that.
warnings.filterwarnings("ignore", category=BetaWarning)
warnings.filterwarnings("ignore", category=PreviewWarning)
