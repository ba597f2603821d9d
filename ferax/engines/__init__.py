"""Engines run jaxprs: as StableHLO (text) through XLA, on CPUs, GPUs and TPUs."""
