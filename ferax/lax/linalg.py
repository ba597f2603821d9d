"""Linear algebra: the door to `factorizations` (LU, QR, …) and `spectral` (eigh, svd, …)."""

from __future__ import annotations

from ferax.lax.factorizations import cholesky as cholesky
from ferax.lax.factorizations import cholesky_update as cholesky_update
from ferax.lax.factorizations import householder_product as householder_product
from ferax.lax.factorizations import lu as lu
from ferax.lax.factorizations import (
    lu_pivots_to_permutation as lu_pivots_to_permutation,
)
from ferax.lax.factorizations import ormqr as ormqr
from ferax.lax.factorizations import qr as qr
from ferax.lax.factorizations import symmetric_product as symmetric_product
from ferax.lax.factorizations import triangular_solve as triangular_solve
from ferax.lax.factorizations import tridiagonal_solve as tridiagonal_solve
from ferax.lax.spectral import EighImplementation as EighImplementation
from ferax.lax.spectral import EigImplementation as EigImplementation
from ferax.lax.spectral import SvdAlgorithm as SvdAlgorithm
from ferax.lax.spectral import eig as eig
from ferax.lax.spectral import eigh as eigh
from ferax.lax.spectral import hessenberg as hessenberg
from ferax.lax.spectral import qdwh as qdwh
from ferax.lax.spectral import schur as schur
from ferax.lax.spectral import svd as svd
from ferax.lax.spectral import tridiagonal as tridiagonal

__all__ = [
    "EigImplementation", "EighImplementation", "SvdAlgorithm", "cholesky", "cholesky_update",
    "eig", "eigh", "hessenberg", "householder_product", "lu", "lu_pivots_to_permutation", "ormqr",
    "qdwh", "qr", "schur", "svd", "symmetric_product", "triangular_solve", "tridiagonal",
    "tridiagonal_solve",
]  # fmt: skip
