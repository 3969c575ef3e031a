#!/bin/sh
# Makes the Python environment of the peer that `sojourn bench search` compares with:
#   sh benches/peers/search/setup.sh
set -eu
cd "$(dirname "$0")"
python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
.venv/bin/python -c 'import skimage; print("scikit-image", skimage.__version__, "is ready")'
