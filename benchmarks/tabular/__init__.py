"""Parts of ``benchmarks.nas_bench_201``: running, storing, summarising and drawing searches."""
