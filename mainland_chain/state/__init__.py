"""The ledger's state machine: transaction and state in, writes or a typed refusal out. Pure: no clock, no I/O, no randomness."""
