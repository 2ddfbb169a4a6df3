"""Solidity sources, and the generators of the part that no person should write by hand."""
