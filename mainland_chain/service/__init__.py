"""The ledger's gRPC service. `servicer` answers calls, `access` says who may ask what, `proofs` reads what proofs
need, `server` puts it behind mutual TLS. `messages` and `types` are shared with the client and import nothing of
the server."""
