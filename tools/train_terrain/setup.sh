#!/bin/sh
# Makes the Python environment that `sojourn train terrain` works in (PyTorch, about 5 GB with its CUDA libraries):
#   sh tools/train_terrain/setup.sh
set -eu
cd "$(dirname "$0")"
python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
.venv/bin/python -c 'import torch; print("PyTorch", torch.__version__, "is ready; GPU:", torch.cuda.is_available())'
