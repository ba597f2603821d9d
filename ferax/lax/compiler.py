"""What a program says to the compiler: composite, platform_dependent, with_sharding_constraint."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from ferax.core.array import Concrete, engine
from ferax.core.avals import Aval
from ferax.core.basis import Structural
from ferax.core.jaxpr import eval_jaxpr, stage
from ferax.core.primitive import Primitive, cannot
from ferax.core.tracing import state, to_array
from ferax.errors import UnexpectedTracerError, public
from ferax.lax.branching import switch
from ferax.sharding import NamedSharding, PartitionSpec, Sharding, get_mesh
from ferax.transforms.arguments import FlatCall, name_of
from ferax.transforms.calls import JitCall
from ferax.tree_util import flatten, flatten_prefix, unflatten

# -- by platform ---------------------------------------------------------------------------

PLATFORMS = {"cpu": ("cpu",), "gpu": ("cuda", "rocm"), "cuda": ("cuda",), "rocm": ("rocm",),
             "tpu": ("tpu",)}  # fmt: skip


class PlatformIndex(Primitive):
    """The place of the platform that the program is compiled for among groups of platforms."""

    platforms: tuple[tuple[str, ...], ...]  # an empty group stands for all
    keeps_weak_type = False
    jvp = cannot("it has no operands")
    transpose = cannot("it has no operands")
    batch = cannot("it has no operands")

    def abstract(self) -> list[Aval]:
        return [Aval((), np.dtype(np.int32))]

    def place(self, platform: str) -> np.ndarray:
        for i, names in enumerate(self.platforms):
            if platform in names or not names:
                return np.asarray(i, np.int32)
        known = ", ".join(name for names in self.platforms for name in names)
        raise NotImplementedError(
            f"platform_dependent: there is no function for the platform {platform!r}, but for "
            f"{known}; give one as default="
        )

    def numpy(self) -> list[Any]:
        return [self.place("cpu")]  # where NumPy computes

    def stablehlo(self, hlo: Any) -> list[Any]:
        return [hlo.constant(self.place(hlo.platform))]


@public
def platform_dependent(
    *args: Any,
    default: Callable[..., Any] | None = None,
    **per_platform: Callable[..., Any],
) -> Any:
    """The result of the function for the platform that the program runs on.

    Args:
      *args: arguments of the functions, arrays or pytrees of them.
      default: the function for platforms that are not named.
      **per_platform: functions by platform: cpu=, cuda=, rocm=, gpu= (both), tpu=. All are traced;
        results must agree in structure, shapes and dtypes.

    Raises:
      NotImplementedError: there is no function for the platform, when it is known.

    >>> from ferax import lax
    >>> lax.platform_dependent(1.0, cpu=lambda x: x + 1, default=lambda x: x)
    Array(2., dtype=float32, weak_type=True)
    """
    unknown = per_platform.keys() - PLATFORMS
    if unknown:
        raise ValueError(
            f"platform_dependent: platforms are {', '.join(PLATFORMS)}; got {sorted(unknown)}"
        )
    groups = [PLATFORMS[name] for name in per_platform]
    functions = list(per_platform.values())
    if default is not None:
        groups.append(())
        functions.append(default)
    if not functions:
        raise ValueError("platform_dependent needs at least one function")
    op = PlatformIndex(tuple(groups))
    leaves, tree = flatten(args)
    arrays = [to_array(x, "platform_dependent") for x in leaves]
    args = unflatten(tree, arrays)
    if state.trace is None:
        there = [x for x in arrays if not x.on_host()]
        index = op.place(_platform_of(there[0]) if there else "cpu")
        return functions[index](*args)
    if groups == [()]:
        return functions[0](*args)
    if len(functions) == 1:  # a switch with one branch would not look at the index
        functions *= 2
    return switch(op(), functions, *args)


def _platform_of(x: Concrete) -> str:
    platform = str(next(iter(engine().devices_of(x))).client.platform)
    return "cuda" if platform == "gpu" else platform


# -- composites ----------------------------------------------------------------------------


class CompositeCall(JitCall, interned=False):
    """A program under a name that the compiler may know as one operation.

    Mapped or differentiated it is the program that it is made of.
    """

    version: int
    attributes: tuple[tuple[str, Any], ...]
    name = "composite"

    @property
    def params(self) -> dict[str, Any]:
        return {
            "name": self.label,
            "version": self.version,
            "attributes": self.attributes,
            "jaxpr": self.jaxpr,
        }

    def execute(self, args: list[Any]) -> list[Any]:
        return eval_jaxpr(self.jaxpr, (), args)

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        symbol = hlo.symbol(self.label)
        hlo.definitions.append(hlo.function(self.jaxpr, symbol, "private", values))
        inner = ", ".join(f"{k} = {_attribute(k, v)}" for k, v in self.attributes)
        attrs = (
            f'name = "{self.label}", composite_attributes = {{{inner}}}, '
            f"decomposition = @{symbol}, version = {self.version} : i32"
        )
        return hlo.emit("composite", values, list(hlo.out), attrs)  # type: ignore[no-any-return]


def _attribute(name: str, value: Any) -> str:
    """A number or a string as MLIR writes it."""
    if isinstance(value, str):
        escaped = "".join(c if c.isprintable() and c not in '"\\' and c.isascii() else
                          "".join(f"\\{b:02X}" for b in c.encode()) for c in value)  # fmt: skip
        return f'"{escaped}"'
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        bits = 8 * value.dtype.itemsize if isinstance(value, np.integer) else 64
        return f"{int(value)} : i{bits}"
    if isinstance(value, (float, np.floating)):
        bits = 8 * value.dtype.itemsize if isinstance(value, np.floating) else 32
        return f"{float(value):e} : f{bits}"
    raise TypeError(
        f"composite: the attribute {name} must be a number or a string; got {value!r}"
    )


@public
def composite(
    decomposition: Callable[..., Any], name: str, version: int = 0
) -> Callable[..., Any]:
    """`decomposition` under a name that compilers may know as one operation.

    Args:
      decomposition: function of arrays (or pytrees of them); keyword arguments are attributes:
        numbers and strings.
      name: namespace and name, "my.relu".
      version: of the operation's meaning.

    Returns:
      A function like `decomposition`. In compiled programs it is a `stablehlo.composite`;
      differentiated or mapped it is what `decomposition` does.

    >>> import ferax, ferax.numpy as jnp
    >>> from ferax import lax
    >>> relu = lax.composite(lambda x: jnp.maximum(x, 0), "my.relu")
    >>> ferax.jit(relu)(-1.0)
    Array(0., dtype=float32, weak_type=True)
    """

    @wraps(decomposition)
    @public
    def call(*args: Any, **attributes: Any) -> Any:
        for key, value in attributes.items():
            _attribute(key, value)
        if state.trace is None:
            return decomposition(*args, **attributes)
        leaves, tree = flatten(args)
        leaves = [to_array(x, name, "an argument") for x in leaves]
        flat = FlatCall(
            name, lambda *xs: decomposition(*unflatten(tree, xs), **attributes)
        )
        jaxpr, consts = stage(flat, [x.aval for x in leaves], name_of(decomposition))
        if not all(type(c) is Concrete for c in consts):
            raise UnexpectedTracerError(
                f"composite {name}: its function closes over a traced value; pass it as an argument"
            )
        settings = tuple(sorted(attributes.items()))
        op = CompositeCall(name, jaxpr.closed(), int(version), settings)
        return unflatten(flat.tree, op.bind(*consts, *leaves))

    return call


# -- shardings -----------------------------------------------------------------------------


class ShardingConstraint(Structural):
    """y = x, laid out over devices as said."""

    sharding: NamedSharding

    def abstract(self, x: Aval) -> list[Aval]:
        self.sharding.shard_shape(x.shape)  # raises ValueError if it does not fit
        return [x.strong()]

    def numpy(self, x: Any) -> list[Any]:
        return [x]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        if self.sharding.num_devices == 1:
            return [x]
        return [hlo.sharding_constraint(x, self.sharding)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        return [self(cts[0])]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        (x,), (d,) = args, dims
        spec = list(self.sharding.spec)
        spec += [None] * (x.ndim - 1 - len(spec))
        spec.insert(d, PartitionSpec.UNCONSTRAINED)
        grown = NamedSharding(self.sharding.mesh, PartitionSpec(*spec))
        return [ShardingConstraint(grown)(x)], [d]


@public
def with_sharding_constraint(x: Any, shardings: Any) -> Any:
    """`x`, laid out over devices as said; in compiled programs the compiler keeps to it.

    Args:
      x: array (or pytree of them).
      shardings: a Sharding or a PartitionSpec (of the mesh in context), or a prefix of the
        structure of `x` with such leaves.

    Returns:
      Arrays with the same values; on one device, as they are.

    Raises:
      ValueError: a sharding does not fit the shape.
      RuntimeError: a PartitionSpec without a mesh in context.

    >>> import ferax, ferax.numpy as jnp
    >>> from ferax import lax
    >>> from ferax.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(ferax.make_mesh((1,), ("i",)), P("i"))
    >>> lax.with_sharding_constraint(jnp.arange(2), rows)
    Array([0, 1], dtype=int32)
    """
    who = "with_sharding_constraint"
    leaves, tree = flatten(x)
    places = flatten_prefix(shardings, x, f"{who}: shardings")
    outs = []
    for leaf, place in zip(leaves, places):
        where = as_sharding(who, place)
        array = to_array(leaf, who)
        outs.append(array if where is None else constrained(who, array, where))
    return unflatten(tree, outs)


def as_sharding(who: str, where: Any) -> Sharding | None:
    """A sharding as the user may give it; a PartitionSpec is one of the mesh in context."""
    if isinstance(where, PartitionSpec):
        mesh = get_mesh()
        if mesh.empty:
            raise RuntimeError(
                f"{who}: a PartitionSpec names axes of the mesh in context, and there is none; "
                "use `with set_mesh(mesh):` or pass NamedSharding(mesh, spec)"
            )
        return NamedSharding(mesh, where)
    if where is not None and not isinstance(where, Sharding):
        raise TypeError(f"{who}: needs a Sharding or a PartitionSpec; got {where!r}")
    return where


def constrained(who: str, x: Any, where: Sharding) -> Any:
    """An array laid out as said."""
    where.shard_shape(x.shape)
    if where.num_devices == 1:
        return x
    if state.trace is None:
        return engine().device_put(x, where)
    if not isinstance(where, NamedSharding):
        raise NotImplementedError(
            f"{who}: in a traced function only NamedShardings; got {where!r}"
        )
    return ShardingConstraint(where)(x)
