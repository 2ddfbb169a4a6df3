"""The demonstration: measured telemetry, both zones in one run, and a report to read afterwards."""
