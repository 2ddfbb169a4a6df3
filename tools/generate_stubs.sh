#!/usr/bin/env bash
# Regenerate proto/gen/lianqiao from proto/. With --check: fail when the checked-in stubs differ.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
out=proto/gen
if [ "${1:-}" = "--check" ]; then out=$(mktemp -d); trap 'rm -rf "$out"' EXIT; fi
mapfile -t files < <(find proto/lianqiao -name '*.proto' | LC_ALL=C sort)
PATH="$(dirname "$python"):$PATH" "$python" -m grpc_tools.protoc -Iproto --python_out="$out" --mypy_out=quiet:"$out" \
  --grpc_python_out="$out" --mypy_grpc_out=quiet:"$out" "${files[@]}"
find "$out/lianqiao" -type d -exec touch {}/__init__.py \;
# Files without a service get empty gRPC stubs: drop them.
for stub in $(find "$out/lianqiao" -name '*_pb2_grpc.py'); do
  grep -q 'class .*Stub' "$stub" || rm -f "$stub" "${stub}i"
done
if [ "${1:-}" = "--check" ]; then
  diff -r -x __pycache__ "$out/lianqiao" proto/gen/lianqiao || { echo "stubs differ: run 'make proto' and commit" >&2; exit 1; }
fi
