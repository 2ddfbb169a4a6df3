"""The mainland consortium ledger: records, logs, export claims, state machine, engines, and the pure verifier `light`."""
