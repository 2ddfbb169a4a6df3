"""Pure verification of mainland evidence, used by Hong Kong and by auditors: it can hold no cleartext record.

`claims` are the export claims, `types` the checkpoints and certificates, `certificate` checks a quorum, `trust` follows the chain of
validator sets from a pinned genesis, `packet` checks everything that crosses the border.
"""
