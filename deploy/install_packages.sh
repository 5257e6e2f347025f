#!/bin/sh
# Installs /build/requirements.txt, which is complete, into /app/.venv. Run while the image is built.
# PYTHON: the interpreter. WHEELS: an index (http...) or a folder that torch and torchvision come from; what only CUDA
# needs is left out then. TORCH: other requirements for them than those of the list. COMPILE: keeps Triton.
set -eu
list=/build/requirements.txt
if ! uv=$(command -v uv); then
  "$PYTHON" -m venv /build/tools
  /build/tools/bin/pip install --quiet --disable-pip-version-check uv
  uv=/build/tools/bin/uv
fi
"$uv" venv --quiet --python "$PYTHON" /app/.venv
export VIRTUAL_ENV=/app/.venv UV_NO_CACHE=1 UV_LINK_MODE=copy

only_cuda='^(triton|cuda-[a-z-]+|nvidia-(cu[a-z0-9-]+|nccl-[a-z0-9]+|nvjitlink|nvshmem-[a-z0-9]+|nvtx))=='
from_wheels='^(torch|torchvision)=='
if [ -n "$WHEELS" ]; then
  case "$WHEELS" in
    http*) source="--index-url $WHEELS" ;;
    *) source="--no-index --find-links $WHEELS" ;;
  esac
  # shellcheck disable=SC2046,SC2086  several words each
  "$uv" pip install --no-deps $source ${TORCH:-$(grep -E "$from_wheels" "$list")}
  grep -vE "$only_cuda|$from_wheels" "$list" > /build/rest.txt
elif [ -n "$COMPILE" ]; then
  cp "$list" /build/rest.txt
else
  grep -v '^triton==' "$list" > /build/rest.txt
fi
"$uv" pip install --no-deps -r /build/rest.txt
