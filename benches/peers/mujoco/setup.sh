#!/bin/sh
# Makes the Python environment of the peer that `sojourn eval twin` and `sojourn sweep judge` compare with:
#   sh benches/peers/mujoco/setup.sh
set -eu
cd "$(dirname "$0")"
python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
.venv/bin/python -c 'import mujoco; print("MuJoCo", mujoco.__version__, "is ready")'
