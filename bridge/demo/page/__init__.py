"""Pieces of the report's page: pure functions from the model to HTML and SVG text."""
