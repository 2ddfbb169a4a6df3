"""Commands of `lianqiao`: options in, calls of the packages below, words out."""

import os

# gRPC's own chatter would break the rule of one line per error; whoever looks into a TLS problem sets it to INFO.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
