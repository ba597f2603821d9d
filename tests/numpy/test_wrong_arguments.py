"""Arguments that cannot be meant: the error names the function and what was wrong."""

import numpy as np
import pytest

import ferax.numpy as jnp

X = np.array([[1.0, 3.0, 2.0], [0.0, -2.0, 5.0]], np.float32)
V = np.array([1.0, 3.0, 2.0], np.float32)

WRONG = [
    # integers that are none
    ("argmax", (X, (0, 1)), {}, TypeError, r"argmax: an axis must be an integer; got \(0, 1\)"),
    ("argmin", (X, "x"), {}, TypeError, r"argmin: an axis must be an integer; got 'x'"),
    ("cumsum", (X, 1.5), {}, TypeError, r"cumsum: an axis must be an integer; got 1\.5"),
    ("cumprod", (X, [0]), {}, TypeError, r"cumprod: an axis must be an integer; got \[0\]"),
    ("bartlett", (2.5,), {}, TypeError, r"bartlett: M must be an integer; got 2\.5"),
    ("kaiser", (None, 1.0), {}, TypeError, r"kaiser: M must be an integer; got None"),
    ("linspace", (0, 1, "a"), {}, TypeError, r"linspace: num must be an integer; got 'a'"),
    ("diag_indices", ("a",), {}, TypeError, r"diag_indices: n must be an integer; got 'a'"),
    ("diag_indices", (2, 1.5), {}, TypeError, r"diag_indices: ndim must be an integer"),
    ("diff", (X, None), {}, TypeError, r"diff: n must be an integer; got None"),
    ("around", (X, 1.5), {}, TypeError, r"round: decimals must be an integer; got 1\.5"),
    ("array", (1,), {"ndmin": None}, TypeError, r"array: ndmin must be an integer; got None"),
    ("eye", (3,), {"k": 1.5}, TypeError, r"eye: k must be an integer; got float32\[\]"),
    ("bincount", (np.array([1]),), {"minlength": "a"}, TypeError,
     r"bincount: minlength must be an integer; got 'a'"),
    ("cov", (X,), {"ddof": "a"}, ValueError, r"ddof must be integer; got 'a'"),
    ("expand_dims", (X, None), {}, TypeError, r"expand_dims: axis must be an integer or several"),
    # functions and sequences that are none
    ("apply_along_axis", (3, 0, X), {}, TypeError, r"apply_along_axis: func1d must be a function"),
    ("apply_over_axes", (None, X, 0), {}, TypeError, r"apply_over_axes: func must be a function"),
    ("apply_over_axes", (jnp.sum, X, 1j), {}, TypeError, r"apply_over_axes: an axis must be an"),
    ("frompyfunc", (3, 2, 1), {}, TypeError, r"frompyfunc: func must be a function; got 3"),
    ("choose", (np.array([0]), None), {}, TypeError, r"choose: choices must be an array or a seq"),
    ("lexsort", (None,), {}, TypeError, r"lexsort: keys must be a sequence of arrays; got None"),
    # ranges and bins
    ("arange", (0, 5, 0), {}, ZeroDivisionError, r"arange: step must not be zero"),
    ("arange", (np.nan,), {}, ValueError, r"arange: from 0 to nan in steps of 1 is no finite"),
    ("arange", (0, np.inf), {}, ValueError, r"arange: from 0 to inf in steps of 1 is no finite"),
    ("histogram", (V, 0), {}, ValueError, r"histogram: bins must be at least 1; got 0"),
    ("histogramdd", (X, -1), {}, ValueError, r"histogramdd: bins must be at least 1; got -1"),
    ("histogram2d", (V, V[:2]), {}, ValueError, r"histogram2d: x and y must be vectors of one"),
    ("histogram2d", (X, X), {}, ValueError, r"histogram2d: x and y must be vectors of one"),
    ("interp", (V, V[:0], V[:0]), {}, ValueError, r"interp: xp and fp are empty"),
    # shapes and subscripts
    ("insert", (X, 1, np.ones((4, 3))), {"axis": 1}, ValueError,
     r"insert: values float32\[4,3\] do not broadcast to the shape \(2, 4\)"),
    ("insert", (V, 1, V[:, None]), {}, ValueError, r"insert: values float32\[3,1\] do not broad"),
    ("einsum", (X,), {}, TypeError, r"einsum: give subscripts as text"),
    ("einsum", (3, X), {}, TypeError, r"einsum: give subscripts as text.* Got int first"),
    ("einsum_path", (None, X), {}, TypeError, r"einsum_path: give subscripts as text"),
    ("einsum", ("i,i,i", V, V, V), {"optimize": 3}, ValueError,
     r"einsum: optimize=3 is no path through 3 operands, such as \[\(0, 1\), \(0, 1\)\]"),
    ("einsum", ("i,i,i", V, V, V), {"optimize": [(0, 5)]}, ValueError,
     r"einsum: optimize=\[\(0, 5\)\] is no path through 3 operands"),
    ("add", (X, X), {"where": X > 0}, NotImplementedError,
     r"the where argument of <jnp.ufunc 'add'> is not supported"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "options", "error", "message"), WRONG)
def test_a_wrong_argument_is_named(name, args, options, error, message):
    """The class is NumPy's or JAX's; the message says which argument and what it was."""
    with pytest.raises(error, match=message):
        getattr(jnp, name)(*args, **options)
