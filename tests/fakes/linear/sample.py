"""A workspace to try things with: a team, its roadmap, and issues of every sort."""

from tests.fakes.linear.state import Linear, Node

BRIEF = """Readers ask what the base fee is for. Keep it short.

```brief
template: explainer
keywords: EIP-1559; base fee
topic: the base fee
```
"""


def sample(linear: Linear) -> Node:
    """Fill the workspace; returns its team `ENG` (Editorial)."""
    ada, ben = linear.add_user("Ada Lovelace"), linear.add_user("Ben Bitdiddle")
    team = linear.add_team("ENG", "Editorial")
    label = linear.add_label("Article")
    launch = linear.add_project("Fee market series", team, target="2027-03-31", start="2027-01-04")
    first = linear.add_milestone("First three explainers", launch, target="2027-02-12")
    cycle = linear.add_cycle(team, 7, "2027-01-31T23:00:00.000Z", "2027-02-14T23:00:00.000Z")
    tagged = {"labelIds": [label["id"]]}
    linear.add_issue(
        team, "What the base fee is for", BRIEF, assignee=ada["id"], priority=2, project=launch["id"],
        projectMilestone=first["id"], **tagged,
    )  # fmt: skip
    linear.add_issue(
        team, "How blobs made rollups cheap", "```brief\ntopic: blobs\n```", assignee=ben["id"],
        cycle=cycle["id"], **tagged,
    )  # fmt: skip
    linear.add_issue(
        team, "Why the merge matters", "```brief\nsubject: the merge\n```", state="Backlog", **tagged
    )
    linear.add_issue(team, "Repair the coffee machine", "It leaks.", priority=1)
    return team
