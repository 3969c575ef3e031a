#!/bin/sh
# Makes the two peers that `sojourn bench grid` compares with: the same update in NumPy and in C++.
#   sh benches/peers/grid/setup.sh
set -eu
cd "$(dirname "$0")"
python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
.venv/bin/python -c 'import numpy; print("NumPy", numpy.__version__, "is ready")'
"${CXX:-g++}" -std=c++17 -O3 -Wall -Wextra -o .venv/update update.cpp
"${CXX:-g++}" --version | head -n 1
