"""Operands to try every operation with, a file per room."""
