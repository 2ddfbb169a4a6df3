"""Records as trees of salted field leaves, their schemas and grades (docs/protocol.md §2)."""
