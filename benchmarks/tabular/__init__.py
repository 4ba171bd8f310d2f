"""The searches of ``benchmarks.nas_bench_201``: how they are run, kept, summed up and drawn."""
