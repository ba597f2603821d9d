"""ferax beside JAX, and NumPy and PyTorch beside them: `python -m benchmarks` (or `make bench`).

Every library runs in a worker process of its own, from its own environment, with the same
program (`worker.py`): the public API is the same, so a case is written once. The workers are
alive together and take turns, batch by batch, so that whatever else the machine does hits all
of them alike; a row shows the median of the ratios of neighbouring batches.

    case.py          what a case is; timing a batch
    startup.py       import, first results, first calls: a fresh process for each measurement
    eager.py         operations one by one, on 100 and on 1M elements
    transforms.py    grad, vmap, value_and_grad without jit; tracing
    dispatch.py      calling what is compiled already
    transformer.py   a 12-layer training step: trace, lower, compile, step, memory
    runner.py        environments, processes, turns, medians
    report.py        tables, the figures asked for (figures.toml), the history and regressions
    documents.py     the tables in README.md and docs/performance.md, from a run
"""
