"""Door to the elementwise operations; each is documented in the room it lives in."""

# `__all__` of each room lists its functions and its operations
from ferax.lax.arithmetic import *  # noqa: F403
from ferax.lax.representation import *  # noqa: F403
from ferax.lax.special import *  # noqa: F403
from ferax.lax.transcendental import *  # noqa: F403
