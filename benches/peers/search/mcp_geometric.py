"""Least-cost path from corner to corner with scikit-image's MCP_Geometric.

Usage: mcp_geometric.py FILE COLUMNS ROWS

FILE holds one little-endian unsigned 16-bit cost per cell in units of 1/64, row by row. Prints one JSON object:
seconds of the search (the reading is not timed), cost of the path, and the version.
"""

import json
import sys
import time

import numpy as np
import skimage
from skimage.graph import MCP_Geometric

path, cols, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
costs = np.fromfile(path, dtype="<u2").reshape(rows, cols).astype(np.float64) / 64.0
begin = time.perf_counter()
search = MCP_Geometric(costs)
cumulative, _ = search.find_costs([(0, 0)], [(rows - 1, cols - 1)])
search.traceback((rows - 1, cols - 1))
seconds = time.perf_counter() - begin
print(
    json.dumps(
        {
            "seconds": seconds,
            "cost": float(cumulative[rows - 1, cols - 1]),
            "version": f"scikit-image {skimage.__version__} MCP_Geometric",
        }
    )
)
