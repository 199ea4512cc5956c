"""What is planned elsewhere: Linear issues become briefs, and what becomes of the briefs is told there."""
