"""Projects, templates, briefs, articles and their versions: the root of the domain.

It imports no other domain room.
"""
