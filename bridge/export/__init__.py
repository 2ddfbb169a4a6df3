"""Mainland side of the bridge: asks the export gate, requests claims from the ledger, proves them and hands packets over."""
