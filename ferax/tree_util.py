"""Pytrees: nested containers as one value. Flatten, rebuild, map, key paths, registration.

Nodes are tuples, namedtuples, lists, dicts (by sorted key), OrderedDict, defaultdict, None (a
node without leaves) and registered classes; everything else is a leaf. optree does the
walking; registrations live in its namespace "ferax".

`PyTreeDef` wraps optree's structure objects and is interned as long as somebody holds it, so
that caches keyed by structures compare by identity.

Differs from JAX: deques and struct sequences are nodes; rebuilt dicts keep the order of their
keys; dicts whose keys cannot be compared are ordered by type and hash.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import threading
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import optree
from optree import _C

T = TypeVar("T")
Leaf = Any
IsLeaf = Callable[..., bool]
NAMESPACE = "ferax"

_UNSET: Any = object()


# -- structures ----------------------------------------------------------------------------


class PyTreeDef:
    """The structure of a pytree: the containers without the leaves. Made by `tree_flatten`."""

    __slots__ = ("__weakref__", "num_leaves", "spec")

    def __init__(self, spec: optree.PyTreeSpec):
        self.spec = spec
        self.num_leaves: int = spec.num_leaves

    @property
    def num_nodes(self) -> int:
        """Number of containers and leaves."""
        return self.spec.num_nodes

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The pytree of this structure with these leaves."""
        return unflatten(self, leaves)

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """The subtrees of `tree` at the places of this structure's leaves."""
        return _flatten_up_to(self, tree, "flatten_up_to")

    def children(self) -> list[PyTreeDef]:
        """The structures of the root's children."""
        return [_define(s) for s in self.spec.children()]

    def node_data(self) -> tuple[type, Any] | None:
        """(type, auxiliary data) of the root; None for a leaf."""
        if self.spec.is_leaf():
            return None
        seen: list[tuple[type, Any]] = []
        self.spec.walk(
            range(self.num_leaves),
            lambda kind, data, children: seen.append((kind, data)),
            lambda leaf: None,
        )
        return seen[-1]

    def compose(self, inner: PyTreeDef) -> PyTreeDef:
        """This structure with `inner` in the place of each leaf."""
        return _define(self.spec.compose(inner.spec))

    def is_leaf(self) -> bool:
        return bool(self.spec.is_leaf())

    def __repr__(self) -> str:
        return f"PyTreeDef({_shown(self)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _define, (self.spec,)

    def __copy__(self) -> PyTreeDef:
        return self

    def __deepcopy__(self, memo: Any) -> PyTreeDef:
        return self


class _LooseDef(PyTreeDef):
    """A structure whose auxiliary data cannot be compared (arrays): never interned."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PyTreeDef) and bool(self.spec == other.spec)

    def __hash__(self) -> int:
        return hash(self.spec)


_defs: dict[optree.PyTreeSpec, weakref.ref[PyTreeDef]] = {}
_defining = (
    threading.RLock()
)  # re-entered where the collector drops structures meanwhile


def _define(spec: optree.PyTreeSpec) -> PyTreeDef:
    """The one PyTreeDef of an optree structure."""
    try:
        ref = _defs.get(spec)
    except (TypeError, ValueError):  # from the data's own == or hash
        return _LooseDef(spec)
    found = None if ref is None else ref()
    if found is not None:
        return found
    with _defining:  # two threads must not make two of them
        ref = _defs.get(spec)
        found = None if ref is None else ref()
        if found is None:
            found = PyTreeDef(spec)
            _defs[spec] = weakref.ref(found, functools.partial(_forget, spec))
        return found


def _forget(spec: optree.PyTreeSpec, ref: Any) -> None:
    if _defs.get(spec) is ref:
        del _defs[spec]


def _shown(treedef: PyTreeDef) -> str:
    data = treedef.node_data()
    if data is None:
        return "*"
    kind, aux = data
    inner = [_shown(c) for c in treedef.children()]
    if kind is type(None):
        return "None"
    if kind is tuple:
        return f"({', '.join(inner)}{',' if len(inner) == 1 else ''})"
    if kind is list:
        return f"[{', '.join(inner)}]"
    if kind is dict:
        return "{" + ", ".join(f"{k!r}: {v}" for k, v in zip(aux, inner)) + "}"
    if _is_namedtuple(kind):
        return f"CustomNode(namedtuple[{kind.__name__}], [{', '.join(inner)}])"
    return f"CustomNode({kind.__name__}[{aux}], [{', '.join(inner)}])"


def _is_namedtuple(kind: type) -> bool:
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


# -- flatten and rebuild -------------------------------------------------------------------

_flatten = _C.flatten


def flatten(tree: Any) -> tuple[list[Any], PyTreeDef]:
    """Leaves and structure. On the dispatch path of `jit`."""
    leaves, spec = _flatten(tree, None, False, NAMESPACE)
    try:
        treedef = _defs[spec]()
    except (KeyError, TypeError, ValueError):
        treedef = None
    return leaves, _define(spec) if treedef is None else treedef


def unflatten(treedef: PyTreeDef, leaves: Iterable[Any]) -> Any:
    """The pytree with this structure and these leaves."""
    return treedef.spec.unflatten(leaves)


def tree_flatten(
    tree: Any, is_leaf: IsLeaf | None = None
) -> tuple[list[Leaf], PyTreeDef]:
    """The leaves of a pytree, in order, and its structure.

    Args:
      tree: any pytree.
      is_leaf: called at each node; where it is true, the node counts as a leaf.

    >>> import ferax
    >>> ferax.tree_util.tree_flatten({"b": [1, (2, None)], "a": 3})
    ([3, 1, 2], PyTreeDef({'a': *, 'b': [*, (*, None)]}))
    """
    if is_leaf is None:
        return flatten(tree)
    leaves, spec = _flatten(tree, is_leaf, False, NAMESPACE)
    return leaves, _define(spec)


def tree_unflatten(treedef: PyTreeDef, leaves: Iterable[Leaf]) -> Any:
    """The pytree with structure `treedef` and these leaves: the inverse of `tree_flatten`.

    Raises ValueError if the number of leaves is wrong.
    """
    return treedef.spec.unflatten(leaves)


def tree_leaves(tree: Any, is_leaf: IsLeaf | None = None) -> list[Leaf]:
    """The leaves of a pytree, in order.

    >>> import ferax
    >>> ferax.tree.leaves({"b": 1, "a": (2, None)})
    [2, 1]
    """
    return _flatten(tree, is_leaf, False, NAMESPACE)[0]


def tree_structure(tree: Any, is_leaf: IsLeaf | None = None) -> PyTreeDef:
    """The structure of a pytree.

    >>> import ferax
    >>> ferax.tree.structure([1, (2, 3)])
    PyTreeDef([*, (*, *)])
    """
    return tree_flatten(tree, is_leaf)[1]


def all_leaves(iterable: Iterable[Any], is_leaf: IsLeaf | None = None) -> bool:
    """Whether every element is a leaf."""
    return all(
        treedef_is_leaf(tree_structure(x)) or (is_leaf is not None and is_leaf(x))
        for x in iterable
    )


def treedef_is_leaf(treedef: PyTreeDef) -> bool:
    """Whether the structure is that of a single leaf."""
    return bool(treedef.num_nodes == 1 and treedef.num_leaves == 1)


def treedef_children(treedef: PyTreeDef) -> list[PyTreeDef]:
    """The structures of the root's children."""
    return treedef.children()


def treedef_tuple(treedefs: Iterable[PyTreeDef]) -> PyTreeDef:
    """The structure of a tuple of pytrees with these structures."""
    specs = [d.spec for d in treedefs]
    return _define(optree.treespec_tuple(specs, namespace=NAMESPACE))


# -- maps and folds ------------------------------------------------------------------------


def tree_map(
    f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: IsLeaf | None = None
) -> Any:
    """Apply `f` to each leaf of `tree`, with the matching subtrees of `rest`.

    Args:
      f: a function of 1 + len(rest) arguments.
      tree: a pytree; the result has its structure.
      *rest: pytrees which have the structure of `tree`, or go on where it has leaves.
      is_leaf: where true, a node of `tree` counts as a leaf.
    Raises:
      ValueError: if the structures differ; the message names the first key path.

    >>> import ferax
    >>> ferax.tree.map(lambda x, y: x + y, {"a": 1, "b": [2, 3]}, {"a": 10, "b": [20, 30]})
    {'a': 11, 'b': [22, 33]}
    """
    leaves, spec = _flatten(tree, is_leaf, False, NAMESPACE)
    if not rest:
        return spec.unflatten([f(x) for x in leaves])
    columns = [leaves]
    for number, other in enumerate(rest, 2):
        columns.append(_flatten_up_to(_define(spec), other, "tree_map", tree, number))
    return spec.unflatten([f(*xs) for xs in zip(*columns)])


def _flatten_up_to(
    treedef: PyTreeDef, other: Any, who: str, tree: Any = _UNSET, number: int = 0
) -> list[Any]:
    try:
        return treedef.spec.flatten_up_to(other)
    except ValueError as error:
        whole = treedef.unflatten(range(treedef.num_leaves)) if tree is _UNSET else tree
        names = (
            ("the first tree", f"tree {number}")
            if number
            else ("the structure", "the tree")
        )
        found = _mismatch(whole, other, (), names)
        raise ValueError(f"{who}: {found or error}") from None


def _mismatch(
    prefix: Any, full: Any, path: KeyPath, names: tuple[str, str]
) -> str | None:
    """Where and how `full` does not go on where `prefix` has leaves; None if it does."""
    if _is_leaf(prefix):
        return None
    where = f"at key path {keystr(path)}" if path else "at the root"
    if _alike(type(prefix)) is not _alike(type(full)):
        return (
            f"structures differ {where}: {names[0]} has a {_kind_name(prefix)}, {names[1]} has "
            f"{_describe_node(full)}"
        )
    ours, theirs = _children(prefix), _children(full)
    our_keys, their_keys = [k for k, _ in ours], [k for k, _ in theirs]
    if len(ours) != len(theirs) and not isinstance(prefix, dict):
        return (
            f"structures differ {where}: {names[0]} has a {_kind_name(prefix)} of length "
            f"{len(ours)}, {names[1]} one of length {len(theirs)}"
        )
    if our_keys != their_keys:
        missing = [str(k) for k in our_keys if k not in their_keys]
        extra = [str(k) for k in their_keys if k not in our_keys]
        return (
            f"structures differ {where}: keys only in {names[0]}: {', '.join(missing) or 'none'}; "
            f"only in {names[1]}: {', '.join(extra) or 'none'}"
        )
    for (key, a), (_, b) in zip(ours, theirs):
        found = _mismatch(a, b, (*path, key), names)
        if found:
            return found
    if _aux(prefix) != _aux(full):
        return (
            f"structures differ {where}: the {_kind_name(prefix)} has the data "
            f"{_aux(prefix)!r} in {names[0]}, {_aux(full)!r} in {names[1]}"
        )
    return None


def _alike(kind: type) -> type:
    """Dicts of all kinds match each other."""
    return dict if kind in (dict, OrderedDict, defaultdict) else kind


def _kind_name(node: Any) -> str:
    return "None" if node is None else type(node).__name__


def _describe_node(node: Any) -> str:
    return f"a leaf ({_kind_name(node)})" if _is_leaf(node) else f"a {_kind_name(node)}"


def _aux(node: Any) -> Any:
    return _registry[type(node)].flatten(node)[1] if type(node) in _registry else None


def tree_all(tree: Any, *, is_leaf: IsLeaf | None = None) -> bool:
    """Whether all leaves are true.

    >>> import ferax
    >>> ferax.tree.all([True, {"a": False}])
    False
    """
    return all(tree_leaves(tree, is_leaf))


def tree_reduce(
    function: Callable[[T, Any], T],
    tree: Any,
    initializer: Any = _UNSET,
    is_leaf: IsLeaf | None = None,
) -> T:
    """Fold the leaves from the left: function(function(initializer, x0), x1)…

    >>> import operator
    >>> import ferax
    >>> ferax.tree.reduce(operator.add, [1, (2, 3)])
    6
    """
    leaves = tree_leaves(tree, is_leaf)
    start = () if initializer is _UNSET else (initializer,)
    result: T = functools.reduce(function, leaves, *start)
    return result


def tree_reduce_associative(
    operation: Callable[[T, T], T],
    tree: Any,
    *,
    identity: Any = _UNSET,
    is_leaf: IsLeaf | None = None,
) -> T:
    """Fold the leaves pairwise, in a tree of logarithmic depth; `operation` is associative.

    Raises TypeError if there are no leaves and no `identity`.
    """
    values = tree_leaves(tree, is_leaf)
    if not values:
        if identity is _UNSET:
            raise TypeError(
                "tree_reduce_associative: a tree without leaves needs an identity"
            )
        return identity  # type: ignore[no-any-return]

    def fold(low: int, high: int) -> Any:
        if high - low == 1:
            return values[low]
        middle = (low + high) // 2
        return operation(fold(low, middle), fold(middle, high))

    result: T = fold(0, len(values))
    return result


def tree_transpose(
    outer_treedef: PyTreeDef, inner_treedef: PyTreeDef | None, pytree_to_transpose: Any
) -> Any:
    """Turn a tree of trees inside out: the inner structure comes outside.

    Args:
      outer_treedef: the outer structure of `pytree_to_transpose`.
      inner_treedef: the structure of the trees at its leaves; None: that of the first one.
      pytree_to_transpose: the tree of trees.
    Raises:
      TypeError: if the tree has another structure.

    >>> import ferax
    >>> outer = ferax.tree.structure([0, 0])
    >>> ferax.tree.transpose(outer, None, [{"a": 1, "b": 2}, {"a": 3, "b": 4}])
    {'a': [1, 3], 'b': [2, 4]}
    """
    subtrees = outer_treedef.flatten_up_to(pytree_to_transpose)
    if inner_treedef is None:
        if not subtrees:
            raise TypeError(
                "tree_transpose: an outer structure without leaves needs inner_treedef"
            )
        inner_treedef = tree_structure(subtrees[0])
    expected = outer_treedef.compose(inner_treedef)
    leaves, found = flatten(pytree_to_transpose)
    if found != expected:
        raise TypeError(
            f"tree_transpose: the tree has the structure {found}, but the structures given "
            f"compose to {expected}"
        )
    width = inner_treedef.num_leaves
    columns = [leaves[i::width] for i in range(width)]
    return inner_treedef.unflatten([outer_treedef.unflatten(c) for c in columns])


def tree_broadcast(
    prefix_tree: Any, full_tree: Any, is_leaf: IsLeaf | None = None
) -> Any:
    """Copy each leaf of `prefix_tree` to all leaves of the subtree at its place.

    >>> import ferax
    >>> ferax.tree.broadcast({"a": 1, "b": 2}, {"a": [0, 0], "b": {"c": 0}})
    {'a': [1, 1], 'b': {'c': 2}}
    """
    prefix_leaves, treedef = tree_flatten(prefix_tree, is_leaf)
    subtrees = _flatten_up_to(treedef, full_tree, "tree_broadcast")
    copied = [
        tree_map(lambda _, leaf=leaf: leaf, subtree, is_leaf=is_leaf)
        for leaf, subtree in zip(prefix_leaves, subtrees)
    ]
    return treedef.unflatten(copied)


def flatten_prefix(prefix_tree: Any, full_tree: Any, what: str) -> list[Any]:
    """For each leaf of `full_tree`, the leaf of `prefix_tree` at or above its place.

    None in `prefix_tree` is a value, as in `in_axes=(0, None)`. `what` names the prefix tree
    in error messages (ValueError).
    """
    if prefix_tree is None or isinstance(prefix_tree, int):
        return [prefix_tree] * len(tree_leaves(full_tree))
    values: list[Any] = []
    _spread(prefix_tree, full_tree, (), what, values)
    return values


def _spread(
    prefix: Any, full: Any, path: KeyPath, what: str, values: list[Any]
) -> None:
    if prefix is None or _is_leaf(prefix):
        values.extend([prefix] * len(tree_leaves(full)))
        return
    names = ("it", "the values it is for")
    ours = _children(prefix)
    # only this level is compared here: what is deeper may be None in the prefix alone
    shallow = _one_level_like(prefix)
    if _is_leaf(full) or full is None or _mismatch(shallow, full, path, names):
        reason = _mismatch(shallow, full, path, names)
        raise ValueError(
            f"{what}: not a prefix of the values it is for; {reason}. A value in it stands for a "
            "whole subtree, so it may end earlier, but must not branch otherwise"
        )
    for (key, a), (_, b) in zip(ours, _children(full)):
        _spread(a, b, (*path, key), what, values)


def _one_level_like(node: Any) -> Any:
    """The node with its children replaced by leaves."""
    return tree_map(lambda _: 0, node, is_leaf=lambda x: x is not node)


# -- key paths -----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class DictKey:
    """The key of a value of a dict."""

    key: Hashable

    def __str__(self) -> str:
        return f"[{self.key!r}]"


@dataclasses.dataclass(frozen=True)
class SequenceKey:
    """The index of an element of a tuple or list."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"


@dataclasses.dataclass(frozen=True)
class GetAttrKey:
    """The name of an attribute."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"


@dataclasses.dataclass(frozen=True)
class FlattenedIndexKey:
    """The number of a child of a class registered without keys."""

    key: int

    def __str__(self) -> str:
        return f"[<flat index {self.key}>]"


KeyEntry = Hashable
KeyPath = tuple[Any, ...]
KeyLeafPair = tuple[Any, Any]


def keystr(keys: KeyPath, *, simple: bool = False, separator: str = "") -> str:
    """A key path as text, as one would write it after the variable's name.

    Args:
      keys: a key path.
      simple: show names only, without brackets, quotes and dots.
      separator: put between the parts.

    >>> import ferax
    >>> [(path, _)] = ferax.tree.leaves_with_path({"a": [7]})
    >>> ferax.tree_util.keystr(path), ferax.tree_util.keystr(path, simple=True, separator="/")
    ("['a'][0]", 'a/0')
    """
    return separator.join(map(_simple_key if simple else str, keys))


def _simple_key(key: Any) -> str:
    for attribute in ("key", "idx", "name"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def _is_leaf(x: Any) -> bool:
    return bool(_C.is_leaf(x, None, False, NAMESPACE))


def _children(node: Any) -> list[KeyLeafPair]:
    """(key, child) of the children of a node, in the order of flattening."""
    kind = type(node)
    if node is None:
        return []
    if kind in (tuple, list, deque):
        return [(SequenceKey(i), x) for i, x in enumerate(node)]
    entry = _registry.get(kind)
    if entry is not None:
        if entry.with_keys is not None:
            return list(entry.with_keys(node)[0])
        return [(FlattenedIndexKey(i), x) for i, x in enumerate(entry.flatten(node)[0])]
    children, _, entries, _ = optree.tree_flatten_one_level(node, namespace=NAMESPACE)
    if isinstance(node, dict):
        return [(DictKey(k), x) for k, x in zip(entries, children)]
    if _is_namedtuple(kind):
        return [(GetAttrKey(n), x) for n, x in zip(node._fields, children)]
    return [(FlattenedIndexKey(i), x) for i, x in enumerate(children)]


def tree_leaves_with_path(
    tree: Any, is_leaf: IsLeaf | None = None, is_leaf_takes_path: bool = False
) -> list[tuple[KeyPath, Any]]:
    """The leaves of a pytree with their key paths.

    Args:
      tree: any pytree.
      is_leaf: where true, a node counts as a leaf.
      is_leaf_takes_path: whether it is called as `is_leaf(path, node)`.
    """
    found: list[tuple[KeyPath, Any]] = []

    def visit(node: Any, path: KeyPath) -> None:
        if (
            is_leaf is not None
            and (is_leaf(path, node) if is_leaf_takes_path else is_leaf(node))
        ) or _is_leaf(node):
            found.append((path, node))
        else:
            for key, child in _children(node):
                visit(child, (*path, key))

    visit(tree, ())
    return found


def tree_flatten_with_path(
    tree: Any, is_leaf: IsLeaf | None = None, is_leaf_takes_path: bool = False
) -> tuple[list[tuple[KeyPath, Any]], PyTreeDef]:
    """As `tree_flatten`, with the key path of each leaf.

    >>> import ferax
    >>> pairs, _ = ferax.tree_util.tree_flatten_with_path({"a": [1, 2]})
    >>> [(ferax.tree_util.keystr(path), leaf) for path, leaf in pairs]
    [("['a'][0]", 1), ("['a'][1]", 2)]
    """
    pairs = tree_leaves_with_path(tree, is_leaf, is_leaf_takes_path)
    if is_leaf is None:
        return pairs, tree_structure(tree)
    # the leaves are those objects that the predicate stopped at, in this order
    stops = iter([id(x) for _, x in pairs])
    ahead = [next(stops, None)]

    def stop(node: Any) -> bool:
        if id(node) != ahead[0]:
            return False
        ahead[0] = next(stops, None)
        return True

    return pairs, tree_structure(tree, stop)


flatten_with_path = tree_flatten_with_path


def tree_map_with_path(
    f: Callable[..., Any],
    tree: Any,
    *rest: Any,
    is_leaf: IsLeaf | None = None,
    is_leaf_takes_path: bool = False,
) -> Any:
    """As `tree_map`, with the key path as first argument of `f`.

    >>> import ferax
    >>> ferax.tree.map_with_path(lambda p, x: ferax.tree_util.keystr(p), {"a": [1, 2]})
    {'a': ["['a'][0]", "['a'][1]"]}
    """
    pairs, treedef = tree_flatten_with_path(tree, is_leaf, is_leaf_takes_path)
    columns = [_flatten_up_to(treedef, other, "tree_map_with_path") for other in rest]
    return treedef.unflatten(
        [f(path, x, *others) for (path, x), *others in zip(pairs, *columns)]
    )


# -- registration --------------------------------------------------------------------------


class _Entry(NamedTuple):
    flatten: Callable[[Any], tuple[Iterable[Any], Any]]
    with_keys: Callable[[Any], tuple[Iterable[KeyLeafPair], Any]] | None


_registry: dict[type, _Entry] = {}


def register_pytree_node(
    nodetype: type[T],
    flatten_func: Callable[[T], tuple[Iterable[Any], Any]],
    unflatten_func: Callable[[Any, Any], T],
    flatten_with_keys_func: Callable[[T], tuple[Iterable[KeyLeafPair], Any]]
    | None = None,
) -> None:
    """Make the instances of a class nodes of pytrees.

    Args:
      nodetype: the class; its subclasses are not registered with it.
      flatten_func: instance -> (children, auxiliary data); the data should have a hash.
      unflatten_func: (auxiliary data, children) -> instance. Children may be anything.
      flatten_with_keys_func: as `flatten_func`, with pairs (key, child).
    Raises:
      ValueError: if the class is registered already.

    >>> import ferax
    >>> class Pair:
    ...     def __init__(self, x, y):
    ...         self.x, self.y = x, y
    >>> ferax.tree_util.register_pytree_node(
    ...     Pair, lambda p: ((p.x, p.y), None), lambda _, xy: Pair(*xy))
    >>> ferax.tree.leaves([Pair(1, 2), 3])
    [1, 2, 3]
    """
    register: Any = optree.register_pytree_node  # its types ask for collections
    register(nodetype, flatten_func, unflatten_func, namespace=NAMESPACE)
    _registry[nodetype] = _Entry(flatten_func, flatten_with_keys_func)


def register_pytree_with_keys(
    nodetype: type[T],
    flatten_with_keys: Callable[[T], tuple[Iterable[KeyLeafPair], Any]],
    unflatten_func: Callable[[Any, Any], T],
    flatten_func: Callable[[T], tuple[Iterable[Any], Any]] | None = None,
) -> None:
    """As `register_pytree_node`, with a key for each child.

    Args:
      nodetype: the class.
      flatten_with_keys: instance -> (pairs (key, child), auxiliary data); keys are
        `GetAttrKey`, `DictKey`, `SequenceKey`, `FlattenedIndexKey` or of your own.
      unflatten_func: (auxiliary data, children) -> instance.
      flatten_func: instance -> (children, auxiliary data), where that is faster.
    """

    def children_only(node: T) -> tuple[Iterable[Any], Any]:
        pairs, aux = flatten_with_keys(node)
        return [child for _, child in pairs], aux

    register_pytree_node(
        nodetype, flatten_func or children_only, unflatten_func, flatten_with_keys
    )


def register_pytree_node_class(cls: type[T]) -> type[T]:
    """Class decorator: register a class that has `tree_flatten` and `tree_unflatten`.

    `tree_flatten(self) -> (children, aux)`, classmethod `tree_unflatten(cls, aux, children)`.
    """
    register_pytree_node(cls, operator.methodcaller("tree_flatten"), cls.tree_unflatten)  # type: ignore[attr-defined]
    return cls


def register_pytree_with_keys_class(cls: type[T]) -> type[T]:
    """Class decorator: as `register_pytree_node_class`, with `tree_flatten_with_keys`."""
    flatten_func = (
        operator.methodcaller("tree_flatten") if hasattr(cls, "tree_flatten") else None
    )
    register_pytree_with_keys(
        cls, operator.methodcaller("tree_flatten_with_keys"), cls.tree_unflatten, flatten_func  # type: ignore[attr-defined]
    )  # fmt: skip
    return cls


def register_static(cls: type[T]) -> type[T]:
    """Class decorator: instances are nodes without leaves, compared by `==` and hash."""
    register_pytree_node(cls, lambda node: ((), node), lambda node, _: node)
    return cls


def register_dataclass(
    nodetype: type[T],
    data_fields: Sequence[str] | None = None,
    meta_fields: Sequence[str] | None = None,
    drop_fields: Sequence[str] = (),
) -> type[T]:
    """Make a dataclass (or a class built from keywords) a node; usable as a decorator.

    Args:
      nodetype: the class.
      data_fields: names of the fields that are children.
      meta_fields: names of the fields that are part of the structure; they need `==` and a
        hash. By default those with `metadata={"static": True}`; the others are children.
      drop_fields: fields that are left out, and rebuilt by their defaults.
    Returns:
      The class.
    Raises:
      TypeError: if only one of the two lists is given, or the class is no dataclass.
      ValueError: if the lists do not cover the fields of the dataclass.

    >>> from dataclasses import dataclass
    >>> import ferax
    >>> @ferax.tree_util.register_dataclass
    ... @dataclass
    ... class Linear:
    ...     weight: float
    ...     bias: float
    >>> ferax.tree.map(lambda x: 2 * x, Linear(1.0, 3.0))
    Linear(weight=2.0, bias=6.0)
    """
    data, meta = _dataclass_fields(nodetype, data_fields, meta_fields, drop_fields)
    keys = [GetAttrKey(name) for name in data]
    read_data = _reader(data)
    read_meta = _reader(meta)

    def flatten_func(node: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return read_data(node), read_meta(node)

    def with_keys(node: Any) -> tuple[list[KeyLeafPair], tuple[Any, ...]]:
        return list(zip(keys, read_data(node))), read_meta(node)

    def unflatten_func(aux: tuple[Any, ...], children: Iterable[Any]) -> Any:
        return nodetype(**dict(zip(meta, aux)), **dict(zip(data, children)))

    register_pytree_node(nodetype, flatten_func, unflatten_func, with_keys)
    return nodetype


def _reader(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """A function that reads these attributes into a tuple."""
    if not names:
        return lambda node: ()
    if len(names) == 1:
        get = operator.attrgetter(names[0])
        return lambda node: (get(node),)
    return operator.attrgetter(*names)


def _dataclass_fields(
    nodetype: type,
    data_fields: Sequence[str] | None,
    meta_fields: Sequence[str] | None,
    drop_fields: Sequence[str],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    who = f"register_dataclass: {nodetype.__name__}"
    if (data_fields is None) != (meta_fields is None):
        raise TypeError(f"{who}: give both data_fields and meta_fields, or neither")
    if data_fields is None or meta_fields is None:
        if not dataclasses.is_dataclass(nodetype):
            raise TypeError(
                f"{who} is not a dataclass; put @dataclass below @register_dataclass, or give "
                "data_fields and meta_fields"
            )
        fields = [
            f
            for f in dataclasses.fields(nodetype)
            if f.init and f.name not in drop_fields
        ]
        data_fields = [f.name for f in fields if not f.metadata.get("static", False)]
        meta_fields = [f.name for f in fields if f.metadata.get("static", False)]
    if dataclasses.is_dataclass(nodetype):
        wanted = {f.name for f in dataclasses.fields(nodetype) if f.init} - set(
            drop_fields
        )
        given = {*data_fields, *meta_fields}
        if given != wanted:
            raise ValueError(
                f"{who}: data_fields and meta_fields must cover its fields; missing: "
                f"{sorted(wanted - given)}, unknown: {sorted(given - wanted)}"
            )
    return tuple(data_fields), tuple(meta_fields)


def is_tree_node(typ: type) -> bool:
    """Whether instances of the type are nodes."""
    return bool(
        typ in (tuple, list, dict, type(None), OrderedDict, defaultdict, deque)
        or typ in _registry
        or _is_namedtuple(typ)
    )


def flatten_one_level(tree: Any) -> tuple[Iterable[Any], Any]:
    """(children, auxiliary data) of the root. Raises ValueError for a leaf."""
    if _is_leaf(tree):
        raise ValueError(f"flatten_one_level: a {type(tree).__name__} is a leaf")
    entry = _registry.get(type(tree))
    if entry is not None:
        return entry.flatten(tree)
    children = tuple([x for _, x in _children(tree)])
    data = tree_structure(tree, lambda x: x is not tree).node_data()
    assert data is not None
    return children, type(tree) if _is_namedtuple(type(tree)) else data[1]


def flatten_one_level_with_keys(tree: Any) -> tuple[Iterable[KeyLeafPair], Any]:
    """As `flatten_one_level`, with pairs (key, child)."""
    return tuple(_children(tree)), flatten_one_level(tree)[1]


class PyTreeRegistry:
    """The registered node types, as an object for libraries that ask for one."""

    def flatten(
        self, tree: Any, is_leaf: IsLeaf | None = None
    ) -> tuple[list[Any], PyTreeDef]:
        return tree_flatten(tree, is_leaf)

    def flatten_one_level(self, tree: Any) -> tuple[Iterable[Any], Hashable] | None:
        """None for leaves."""
        return None if _is_leaf(tree) else flatten_one_level(tree)

    def register_node(
        self, nodetype: type, flatten_func: Any, unflatten_func: Any
    ) -> None:
        register_pytree_node(nodetype, flatten_func, unflatten_func)


default_registry = PyTreeRegistry()


# -- functions as pytrees ------------------------------------------------------------------


class Partial(functools.partial):  # type: ignore[type-arg]
    """`functools.partial` as a pytree: arguments are children, the function is structure.

    So it can be passed into and out of transformed functions.

    >>> import ferax
    >>> ferax.tree.map(lambda x: x + 1, ferax.tree_util.Partial(max, 1))(0)
    2
    """


register_pytree_with_keys(
    Partial,
    lambda p: (
        ((FlattenedIndexKey(0), p.args), (FlattenedIndexKey(1), p.keywords)),
        p.func,
    ),
    lambda func, xs: Partial(func, *xs[0], **xs[1]),
    lambda p: ((p.args, p.keywords), p.func),
)
