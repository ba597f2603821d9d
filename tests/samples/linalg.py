"""Samples of linear algebra.

Vectors that a factorization leaves free up to a factor, and functions of Hermitian matrices, do not
suit derivatives along arbitrary directions; tests/lax/test_linalg.py checks those by what is
determined.
"""

from __future__ import annotations

import numpy as np

from ferax.lax import factorizations, spectral
from tests.samples.base import Sample, array

_FREE = "vectors are free up to a factor: see test_linalg.py"
_PHASES = "the phases of Schur vectors are LAPACK's choice: no rule"
_HERMITIAN = "derivatives assume a Hermitian direction: see test_linalg.py"


def _well(shape, dtype="float32", seed=0):
    """Square matrices with a heavy diagonal."""
    x = array(shape, dtype, seed)
    return (x + 4 * np.eye(shape[-1])).astype(dtype)


def _positive(shape, dtype="float32"):
    x = array(shape, dtype)
    product = x @ x.conj().swapaxes(-1, -2)
    return (product + np.eye(shape[-1])).astype(dtype)


def _free(op, *operands, why=_FREE):
    return Sample(op, list(operands), order=0, why=why, tolerance=200)


def _triangular(
    left, lower, transpose=False, conjugate=False, unit=False, dtype="float32", count=2
):
    b = (count, 3, 2) if left else (count, 2, 3)
    op = factorizations.TriangularSolve(left, lower, transpose, conjugate, unit)
    operands = [_well((count, 3, 3), dtype), array(b, dtype, 1)]
    return Sample(op, operands, linear=(1,), tolerance=64)


def _lu_solve(transposed, count=2):
    a = _well((count, 3, 3))
    lu, _, order = factorizations.Lu().bind(a)
    operands = [lu.host(), order.host(), a, array((count, 3, 2), seed=1)]
    op = factorizations.LuSolve(transposed)
    return Sample(op, operands, differentiable=(3,), linear=(3,), tolerance=64)


_REFLECTORS = factorizations.Geqrf().bind(array((2, 4, 3)))
_A, _TAUS = (x.host() for x in _REFLECTORS)
_COMPLEX = [x.host() for x in factorizations.Geqrf().bind(array((4, 3), "complex64"))]
_SQUARE = array((3, 3), "complex64", seed=1)
_TALL, _WIDE = array((5, 3), seed=3), array((3, 5), seed=1)
_EMPTY = array((2, 0, 3))

SAMPLES = {
    factorizations.TriangularSolve: [
        _triangular(True, True),
        _triangular(True, False, transpose=True),
        _triangular(False, True, unit=True),
        _triangular(False, False, transpose=True, unit=True),
        _triangular(True, True, True, True, dtype="complex64"),
        _triangular(True, False, True, count=33),
        _triangular(True, True, unit=True, count=33),
        _triangular(False, False, False, True, dtype="complex64"),
    ],
    factorizations.Cholesky: [
        _free(factorizations.Cholesky(), _positive((2, 3, 3)), why=_HERMITIAN),
        _free(factorizations.Cholesky(), _positive((3, 3), "complex64"), why=_HERMITIAN),
        _free(factorizations.Cholesky(), -_positive((2, 3, 3)), why="all nan"),
        _free(factorizations.Cholesky(), array((0, 0)), why="no elements"),
    ],
    factorizations.Lu: [
        Sample(factorizations.Lu(), [_well((2, 3, 3))], tolerance=64),
        Sample(factorizations.Lu(), [_TALL], tolerance=64),
        Sample(factorizations.Lu(), [_WIDE], tolerance=64),
        Sample(factorizations.Lu(), [array((3, 3), "complex64")], tolerance=64),
        Sample(factorizations.Lu(), [_well((33, 3, 3))], tolerance=64, note="many small"),
        _free(factorizations.Lu(), _EMPTY, why="no elements"),
    ],
    factorizations.LuPivotsToPermutation: [
        Sample(
            factorizations.LuPivotsToPermutation(4),
            [np.array([[2, 1, 3], [0, 3, 2]], "int32")],
        ),
        Sample(factorizations.LuPivotsToPermutation(2), [np.zeros((0,), "int32")]),
    ],
    factorizations.LuSolve: [
        _lu_solve(False), _lu_solve(True), _lu_solve(False, 33), _lu_solve(True, 33),
    ],
    factorizations.Qr: [
        Sample(factorizations.Qr(False, False), [_TALL], tolerance=64),
        Sample(factorizations.Qr(False, False), [_WIDE], tolerance=64),
        Sample(factorizations.Qr(False, True), [_well((2, 3, 3))], tolerance=64),
        Sample(factorizations.Qr(True, False), [_TALL], tolerance=64),
        Sample(factorizations.Qr(False, False), [array((4, 3), "complex64")], tolerance=64),
        _free(factorizations.Qr(False, True), _TALL),
        _free(factorizations.Qr(True, True), _TALL),
        _free(factorizations.Qr(False, True), np.zeros((2, 3, 0), "float32")),
    ],
    factorizations.Geqrf: [
        Sample(factorizations.Geqrf(), [x], tolerance=200)
        for x in (_TALL, _WIDE, array((2, 3, 3)), array((4, 3), "complex64"), _SQUARE)
    ],
    factorizations.HouseholderProduct: [
        Sample(factorizations.HouseholderProduct(), [_A, _TAUS], tolerance=200),
        Sample(factorizations.HouseholderProduct(), [_A[0], _TAUS[0, :2]], tolerance=200),
        Sample(factorizations.HouseholderProduct(), list(_COMPLEX), tolerance=200),
    ],
    factorizations.Ormqr: [
        Sample(factorizations.Ormqr(True, False), [_A, _TAUS, array((2, 4, 2))], tolerance=200),
        Sample(factorizations.Ormqr(False, True), [_A, _TAUS, array((2, 2, 4))], tolerance=200),
        Sample(
            factorizations.Ormqr(True, True), [*_COMPLEX, array((4, 2), "complex64")], tolerance=200
        ),
    ],
    factorizations.TridiagonalSolve: [
        Sample(
            factorizations.TridiagonalSolve(),
            [
                array((2, 4)),
                array((2, 4), low=4, high=6),
                array((2, 4), seed=1),
                array((2, 4, 3)),
            ],
            linear=(3,),
            tolerance=64,
        ),
    ],
    spectral.Eigh: [
        _free(spectral.Eigh(True), _positive((2, 3, 3)), why=_HERMITIAN),
        _free(spectral.Eigh(False), _positive((3, 3), "complex64"), why=_HERMITIAN),
    ],
    spectral.Svd: [
        Sample(spectral.Svd(False, False), [_TALL], tolerance=64),
        Sample(spectral.Svd(False, True), [_TALL], tolerance=64, order=1,
               why="the second derivative is checked for singular values"),
        Sample(spectral.Svd(True, False), [array((2, 3, 3))], tolerance=64),
        _free(spectral.Svd(True, True), _WIDE),
        _free(spectral.Svd(False, True), array((4, 3), "complex64")),
        _free(spectral.Svd(True, True), array((3, 0)), why="no elements"),
    ],
    spectral.Eig: [
        Sample(spectral.Eig(False, False), [array((2, 3, 3), seed=2)], tolerance=200),
        _free(spectral.Eig(True, True), array((3, 3))),
        Sample(spectral.Eig(True, True, True), [array((2, 3, 3), seed=2)], tolerance=200,
               order=1, why="the second derivative is checked for eigenvalues"),
        Sample(spectral.Eig(False, True, True), [array((3, 3), "complex64")], tolerance=200,
               order=1, why="the second derivative is checked for eigenvalues"),
        _free(spectral.Eig(False, True), array((3, 3), "complex64")),
    ],
    spectral.Schur: [
        _free(spectral.Schur(True), array((2, 3, 3)), why=_PHASES),
        _free(spectral.Schur(False), array((3, 3), "complex64"), why=_PHASES),
    ],
    spectral.Hessenberg: [
        Sample(spectral.Hessenberg(), [x], tolerance=200)
        for x in (array((2, 4, 4)), array((4, 4), "complex64"), array((1, 1)))
    ],
    spectral.Tridiagonal: [
        Sample(spectral.Tridiagonal(lower), [x], tolerance=200)
        for lower in (True, False)
        for x in (_positive((2, 4, 4)), array((4, 4), "complex64", seed=1), array((1, 1)))
    ],
}  # fmt: skip
