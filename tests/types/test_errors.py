"""Exceptions: their classes, their messages, the user's line, folded tracebacks."""

from __future__ import annotations

import inspect
import traceback

import numpy as np
import pytest

from ferax import errors, shapes
from ferax.config import scoped
from ferax.errors import public


class FakeAval:
    """Says its type as avals do."""

    def short(self):
        return "float32[3]"


class FakeTracer:
    """What the exception classes ask of a tracer."""

    aval = FakeAval()

    def origin(self):
        return "  made at somewhere.py:1"


def test_classes_subclass_what_numpy_and_python_raise():
    """Users catch TypeError, IndexError and RuntimeError."""
    assert issubclass(errors.TracerBoolConversionError, errors.ConcretizationTypeError)
    for kind in (errors.ConcretizationTypeError, errors.TracerIntegerConversionError,
                 errors.TracerArrayConversionError, errors.UnexpectedTracerError,
                 errors.KeyReuseError):  # fmt: skip
        assert issubclass(kind, errors.JAXTypeError)
        assert issubclass(kind, TypeError)
    assert issubclass(errors.NonConcreteBooleanIndexError, IndexError)
    assert issubclass(errors.JaxRuntimeError, RuntimeError)
    assert issubclass(errors.JaxprTypeError, TypeError)


def test_exceptions_are_made_from_messages_and_from_tracers():
    """Both forms give a message; a context is appended."""
    assert str(errors.TracerBoolConversionError("text")) == "text"
    assert str(errors.ConcretizationTypeError("text", "more")) == "text\nmore"
    message = str(errors.TracerArrayConversionError(FakeTracer()))
    assert message.startswith("a traced value (float32[3]) was given to NumPy")
    assert "made at somewhere.py:1" in message


def test_message_about_a_traced_value_matches_whole():
    """Symptom, the user's line, cause, origin, ways out: in this order."""
    origin = "  x became traced at a.py:1"
    message = errors.traced_value_message("bool", "float32[]", origin)
    line = message.splitlines()[1]
    assert line.startswith("  at ")
    assert line.endswith(
        "in test_message_about_a_traced_value_matches_whole: `message = "
        'errors.traced_value_message("bool", "float32[]", origin)`'
    )
    assert message.replace(line + "\n", "") == (
        "a traced value (float32[]) was used where Python needs True or False (`if`, `while`, "
        "`and`, `or`, `assert`).\n"
        "While a function is being traced (by jit, grad, vmap, scan, …) its values are not "
        "known, only their shapes and dtypes.\n"
        "  x became traced at a.py:1\n"
        "To choose between values, use jnp.where(condition, a, b); between functions, "
        "lax.cond(condition, f, g, x); to repeat while it holds, lax.while_loop. If the value "
        "comes from an argument that may be compiled in, name that argument in "
        "jit(f, static_argnums=…) or static_argnames."
    )


KINDS = ["bool", "int", "float", "complex", "index", "item", "tolist", "array", "pickle", "shape",
         "boolean_mask", "hash"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_use_has_ways_out(kind):
    """No kind is left without symptom and cure."""
    message = errors.traced_value_message(kind, "int32[]")
    assert message.startswith("a traced value (int32[]) was ")
    assert len(message.splitlines()) == 4


def test_numpy_use_says_jnp():
    """np.sin(tracer) is answered with jnp."""
    assert "jnp.… instead of np.…" in errors.traced_value_message("array", "float32[]")


def test_user_frame_is_the_innermost_one_outside_of_the_package():
    """Frames of ferax are skipped; the place is described with its source line."""
    frame = errors.user_frame()
    assert frame[0] is inspect.currentframe().f_code
    assert errors.describe(frame).endswith(": `frame = errors.user_frame()`")
    assert errors.is_internal(errors.user_frame.__code__)
    assert not errors.is_internal(frame[0])


def test_describe_without_source():
    """Code typed at a prompt has a line number only."""
    scope = {"errors": errors}
    exec(compile("def f():\n  return errors.user_frame()", "<stdin>", "exec"), scope)
    assert errors.describe(scope["f"]()) == "<stdin>:2 in f"


def frames_of(error):
    """Function names of the traceback below the test's own frame."""
    return [f.name for f in traceback.extract_tb(error.__traceback__)][1:]


@public
def broken(callback=None):
    """Calls the callback, or fails three frames deep within the package."""
    return callback() if callback else shapes.canonical_axis(3, 2)


checked_axis = public(shapes.canonical_axis)
apply_over = public(np.apply_along_axis)


def test_public_folds_the_frames_of_the_package():
    """The traceback goes from the user's line to the one folded frame."""
    with pytest.raises(ValueError) as caught:
        checked_axis(3, 2)
    assert frames_of(caught.value) == ["public_call"]
    shown = "".join(traceback.format_exception(caught.value))
    assert 'ferax.config.update("traceback_filtering", "off")' in shown


def test_public_keeps_frames_of_callbacks():
    """The user's functions that ferax calls stay visible."""

    def callback():
        return checked_axis(3, 2)

    with pytest.raises(ValueError) as caught:
        broken(callback)
    assert frames_of(caught.value) == ["public_call", "broken", "callback"]


def test_public_folds_libraries_called_by_the_package():
    """NumPy's frames behind ferax's frame are no help to the user."""
    with pytest.raises(ValueError) as caught:
        apply_over(np.sum, 5, np.zeros(3))
    assert frames_of(caught.value) == ["public_call"]


def test_filtering_can_be_switched_off():
    """All frames are there for those who work on ferax."""
    with scoped["traceback_filtering"]("off"), pytest.raises(ValueError) as caught:
        checked_axis(3, 2)
    assert frames_of(caught.value) == ["public_call", "canonical_axis"]


def test_public_leaves_causes_alone():
    """`raise … from …` keeps its cause, whose traceback is whole."""

    def callback():
        try:
            shapes.canonical_axis(3, 2)
        except ValueError as error:
            raise KeyError("outer") from error

    with pytest.raises(KeyError) as caught:
        broken(callback)
    cause = caught.value.__cause__
    assert isinstance(cause, ValueError)
    assert traceback.extract_tb(cause.__traceback__)[-1].name == "canonical_axis"
    assert caught.value.__suppress_context__


def test_public_keeps_signature_and_wraps_once():
    """Decorated functions look like the original; decorating twice does nothing."""
    assert list(inspect.signature(broken).parameters) == ["callback"]
    assert broken.__doc__.startswith("Calls the callback")
    assert public(broken) is broken


def test_public_lets_interrupts_pass():
    """KeyboardInterrupt is not touched."""

    def callback():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        broken(callback)
    assert frames_of(caught.value) == ["public_call", "broken", "callback"]
