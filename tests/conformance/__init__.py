"""Rules of operations, checked against each other."""
