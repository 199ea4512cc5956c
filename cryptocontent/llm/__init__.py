"""The model router: policies, providers, circuits, limits, budgets, costs, the ledger.

Only `guard`, `router`, `providers`, `cache` and `batches` import `pydantic_ai` (1 s); a process that
calls no model never imports them.
"""
