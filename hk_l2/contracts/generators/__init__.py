"""Generators of EVM code, with the tools they share. Run by `hk_l2.build`; not needed at run time."""
