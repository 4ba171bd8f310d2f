"""One thread for each test process: they are small, and spinning threads slow each other down."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
