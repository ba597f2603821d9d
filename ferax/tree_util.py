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
from typing import Any, TypeVar

import optree
from optree import _C

from ferax.errors import public

T = TypeVar("T")
Leaf = Any
IsLeaf = Callable[..., bool] | None
Flatten = Callable[[Any], tuple[Iterable[Any], Any]]
Unflatten = Callable[[Any, Any], Any]
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
        return self.spec.unflatten(leaves)

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """The subtrees of `tree` at the places of this structure's leaves."""
        return _flatten_up_to(self.spec, tree, "flatten_up_to:")

    def children(self) -> list[PyTreeDef]:
        """The structures of the root's children."""
        return [_define(s) for s in self.spec.children()]

    def node_data(self) -> tuple[type, Any] | None:
        """(type, auxiliary data) of the root; None for a leaf."""
        root: tuple[type, Any] | None = self.spec.walk(
            range(self.num_leaves),
            lambda kind, data, children: (kind, data),
            lambda leaf: None,
        )
        return root

    def compose(self, inner: PyTreeDef) -> PyTreeDef:
        """This structure with `inner` in the place of each leaf."""
        return _define(self.spec.compose(inner.spec))

    def is_leaf(self) -> bool:
        return bool(self.spec.is_leaf())

    def __repr__(self) -> str:
        text = self.spec.walk(range(self.num_leaves), _node_text, lambda leaf: "*")
        return f"PyTreeDef({text})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _define, (self.spec,)

    def __deepcopy__(self, memo: Any) -> PyTreeDef:
        return self


class _LooseDef(PyTreeDef):
    """A structure whose auxiliary data cannot be compared (arrays): never interned."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PyTreeDef) and bool(self.spec == other.spec)

    def __hash__(self) -> int:
        return hash(self.spec)


# A WeakValueDictionary by hand, whose reading is twice as fast.
_defs: dict[optree.PyTreeSpec, weakref.ref[PyTreeDef]] = {}
_defining = threading.RLock()  # the collector may re-enter
# Held for a while, so that `grad` and `vmap` find them again.
_recent: deque[PyTreeDef] = deque(maxlen=64)


def _define(spec: optree.PyTreeSpec) -> PyTreeDef:
    """The one PyTreeDef of an optree structure."""
    try:
        with _defining:  # two threads must not make two of them
            ref = _defs.get(spec)
            found = None if ref is None else ref()
            if found is None:
                spec = _in_order(spec)
                found = PyTreeDef(spec)
                _defs[spec] = weakref.ref(found, functools.partial(_forget, spec))
                # without classes of the user's it holds nothing of his but dictionary keys
                if not spec.namespace:
                    _recent.append(found)
            return found
    except (TypeError, ValueError):  # from the data's own == or hash
        return _LooseDef(spec)


def _in_order(spec: optree.PyTreeSpec) -> optree.PyTreeSpec:
    """The structure whose dicts are rebuilt with sorted keys, whatever their order was."""
    leaf = optree.treespec_leaf()

    def node(n: optree.PyTreeSpec) -> optree.PyTreeSpec:
        children = dict.fromkeys(n.entries(), leaf)
        if n.type is dict:
            return optree.treespec_dict(children)
        if n.type is defaultdict:
            empty: Any = n.unflatten(children)
            return optree.treespec_defaultdict(empty.default_factory, children)
        return n

    return optree.treespec_transform(spec, node)


def _forget(spec: optree.PyTreeSpec, ref: Any) -> None:
    if _defs.get(spec) is ref:
        del _defs[spec]


def _node_text(kind: type, data: Any, children: Sequence[str]) -> str:
    """A container in JAX's notation, of its children's texts."""
    if kind is dict:
        children = [f"{k!r}: {child}" for k, child in zip(data, children)]
    inner = ", ".join(children)
    if kind is tuple and len(children) == 1:
        inner += ","
    plain = {tuple: f"({inner})", list: f"[{inner}]", dict: f"{{{inner}}}"}
    if kind in plain:
        return plain[kind]
    if kind is type(None):
        return "None"
    if optree.is_namedtuple_class(kind):
        return f"CustomNode(namedtuple[{kind.__name__}], [{inner}])"
    return f"CustomNode({kind.__name__}[{data}], [{inner}])"


# -- flatten and rebuild -------------------------------------------------------------------

_flatten = _C.flatten


def tree_flatten(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[Leaf], PyTreeDef]:
    """The leaves of a pytree, in order, and its structure. On the dispatch path of `jit`.

    Args:
      tree: any pytree.
      is_leaf: called at each node; where it is true, the node counts as a leaf.

    >>> import ferax
    >>> ferax.tree_util.tree_flatten({"b": [1, (2, None)], "a": 3})
    ([3, 1, 2], PyTreeDef({'a': *, 'b': [*, (*, None)]}))
    """
    leaves, spec = _flatten(tree, is_leaf, False, NAMESPACE)
    try:
        treedef = _defs[spec]()
    except (KeyError, TypeError, ValueError):
        treedef = None
    return leaves, _define(spec) if treedef is None else treedef


def tree_unflatten(treedef: PyTreeDef, leaves: Iterable[Leaf]) -> Any:
    """The pytree with structure `treedef` and these leaves: the inverse of `tree_flatten`.

    Raises ValueError if the number of leaves is wrong.
    """
    try:
        return treedef.spec.unflatten(leaves)
    except AttributeError:
        _structure("tree_unflatten", treedef)
        raise


flatten, unflatten = tree_flatten, tree_unflatten


def tree_leaves(tree: Any, is_leaf: IsLeaf = None) -> list[Leaf]:
    """The leaves of a pytree, in order.

    >>> import ferax
    >>> ferax.tree.leaves({"b": 1, "a": (2, None)})
    [2, 1]
    """
    return _flatten(tree, is_leaf, False, NAMESPACE)[0]


def tree_structure(tree: Any, is_leaf: IsLeaf = None) -> PyTreeDef:
    """The structure of a pytree.

    >>> import ferax
    >>> ferax.tree.structure([1, (2, 3)])
    PyTreeDef([*, (*, *)])
    """
    return tree_flatten(tree, is_leaf)[1]


def all_leaves(iterable: Iterable[Any], is_leaf: IsLeaf = None) -> bool:
    """Whether every element is a leaf."""
    return optree.all_leaves(iterable, is_leaf, namespace=NAMESPACE)


def treedef_is_leaf(treedef: PyTreeDef) -> bool:
    """Whether the structure is that of a single leaf."""
    return _structure("treedef_is_leaf", treedef).is_leaf()


def treedef_children(treedef: PyTreeDef) -> list[PyTreeDef]:
    """The structures of the root's children."""
    return _structure("treedef_children", treedef).children()


def treedef_tuple(treedefs: Iterable[PyTreeDef]) -> PyTreeDef:
    """The structure of a tuple of pytrees with these structures."""
    specs = [_structure("treedef_tuple", d).spec for d in treedefs]
    return _define(optree.treespec_tuple(specs, namespace=NAMESPACE))


def _structure(who: str, treedef: Any) -> PyTreeDef:
    if isinstance(treedef, PyTreeDef):
        return treedef
    raise TypeError(
        f"{who} needs a structure, as tree.structure(tree) gives; got {treedef!r}"
    )


# -- maps and folds ------------------------------------------------------------------------


@public
def tree_map(
    f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: IsLeaf = None
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
    leaves, treedef = tree_flatten(tree, is_leaf)
    spec = treedef.spec
    if not rest:
        return spec.unflatten([f(x) for x in leaves])
    columns = [
        _flatten_up_to(spec, tree, "tree_map:", ("the first tree", f"tree {number}"))
        for number, tree in enumerate(rest, 2)
    ]
    return spec.unflatten([f(*xs) for xs in zip(leaves, *columns)])


def _flatten_up_to(
    spec: optree.PyTreeSpec,
    tree: Any,
    intro: str,
    names: tuple[str, str] = ("the structure", "the tree"),
    advice: str = "",
) -> list[Any]:
    """The subtrees of `tree` at the places of leaves; the error says where it differs."""
    try:
        return spec.flatten_up_to(tree)
    except ValueError as error:
        prefix = spec.unflatten(range(spec.num_leaves))
        found = _mismatch(prefix, tree, (), names) or error
        raise ValueError(f"{intro} {found}{advice}") from None


def _mismatch(
    prefix: Any, full: Any, path: KeyPath, names: tuple[str, str]
) -> str | None:
    if _is_leaf(prefix):
        return None
    found = _mismatch_here(prefix, full, *names)
    if found:
        where = f"at key path {keystr(path)}" if path else "at the root"
        return f"structures differ {where}: {found}"
    for (key, a), (_, b) in zip(_children(prefix), _children(full)):
        found = _mismatch(a, b, (*path, key), names)
        if found:
            return found
    return None


def _mismatch_here(prefix: Any, full: Any, first: str, second: str) -> str | None:
    """How the roots differ."""
    kind = _kind_name(prefix)
    if _alike(type(prefix)) is not _alike(type(full)):
        other = _kind_name(full)
        if _is_leaf(full):
            other = f"leaf ({other})"
        return f"{first} has a {kind}, {second} has a {other}"
    ours, theirs = ([key for key, _ in _children(x)] for x in (prefix, full))
    if len(ours) != len(theirs) and not isinstance(prefix, dict):
        return (
            f"{first} has a {kind} of length {len(ours)}, {second} one of length "
            f"{len(theirs)}"
        )
    if ours != theirs:
        missing = ", ".join([str(k) for k in ours if k not in theirs]) or "none"
        extra = ", ".join([str(k) for k in theirs if k not in ours]) or "none"
        return f"keys only in {first}: {missing}; only in {second}: {extra}"
    if type(prefix) in _registry:
        data, other = (flatten_one_level(x)[1] for x in (prefix, full))
        if data != other:
            return f"the {kind} has the data {data!r} in {first}, {other!r} in {second}"
    return None


def _alike(kind: type) -> type:
    """Dicts of all kinds match each other."""
    return dict if kind in (dict, OrderedDict, defaultdict) else kind


def _kind_name(node: Any) -> str:
    return "None" if node is None else type(node).__name__


def tree_all(tree: Any, *, is_leaf: IsLeaf = None) -> bool:
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
    is_leaf: IsLeaf = None,
) -> T:
    """Fold the leaves from the left: function(function(initializer, x0), x1)…

    >>> import operator
    >>> import ferax
    >>> ferax.tree.reduce(operator.add, [1, (2, 3)])
    6
    """
    leaves: list[T] = tree_leaves(tree, is_leaf)
    start = () if initializer is _UNSET else (initializer,)
    return functools.reduce(function, leaves, *start)


def tree_reduce_associative(
    operation: Callable[[T, T], T],
    tree: Any,
    *,
    identity: Any = _UNSET,
    is_leaf: IsLeaf = None,
) -> T:
    """Fold the leaves pairwise, in a tree of logarithmic depth; `operation` is associative.

    Raises TypeError if there are no leaves and no `identity`.
    """
    values: list[T] = tree_leaves(tree, is_leaf)
    if not values and identity is _UNSET:
        raise TypeError(
            "tree_reduce_associative: a tree without leaves needs an identity"
        )

    def fold(low: int, high: int) -> T:
        if high - low == 1:
            return values[low]
        middle = (low + high) // 2
        return operation(fold(low, middle), fold(middle, high))

    return fold(0, len(values)) if values else identity


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
    _structure("tree_transpose", outer_treedef)
    if inner_treedef is None:
        subtrees = outer_treedef.flatten_up_to(pytree_to_transpose)
        if not subtrees:
            raise TypeError(
                "tree_transpose: an outer structure without leaves needs inner_treedef"
            )
        inner_treedef = tree_structure(subtrees[0])
    expected = outer_treedef.compose(_structure("tree_transpose", inner_treedef))
    leaves, found = flatten(pytree_to_transpose)
    if found != expected:
        raise TypeError(
            f"tree_transpose: the tree has the structure {found}, but the structures given "
            f"compose to {expected}"
        )
    width = inner_treedef.num_leaves
    columns = [leaves[i::width] for i in range(width)]
    return inner_treedef.unflatten([outer_treedef.unflatten(c) for c in columns])


def tree_broadcast(prefix_tree: Any, full_tree: Any, is_leaf: IsLeaf = None) -> Any:
    """Copy each leaf of `prefix_tree` to all leaves of the subtree at its place.

    >>> import ferax
    >>> ferax.tree.broadcast({"a": 1, "b": 2}, {"a": [0, 0], "b": {"c": 0}})
    {'a': [1, 1], 'b': {'c': 2}}
    """
    prefix_leaves, treedef = tree_flatten(prefix_tree, is_leaf)
    subtrees = _flatten_up_to(treedef.spec, full_tree, "tree_broadcast:")
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
    leaves, spec = _flatten(prefix_tree, None, True, NAMESPACE)
    subtrees = _flatten_up_to(
        spec,
        full_tree,
        f"{what}: not a prefix of the values it is for;",
        ("it", "the values it is for"),
        ". A value in it stands for a whole subtree, so it may end earlier, but must not "
        "branch otherwise",
    )
    return [x for x, subtree in zip(leaves, subtrees) for _ in tree_leaves(subtree)]


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


def leaf_path(tree: PyTreeDef, i: int) -> str:
    """Where leaf i of a structure is, as `[1]['w']`; empty for a lone leaf."""
    numbered = unflatten(tree, range(tree.num_leaves))
    return keystr(tree_flatten_with_path(numbered)[0][i][0])


def _simple_key(key: Any) -> str:
    names = [name for name in ("key", "idx", "name") if hasattr(key, name)]
    return str(getattr(key, names[0]) if names else key)


def _is_leaf(x: Any) -> bool:
    return bool(_C.is_leaf(x, None, False, NAMESPACE))


def _children(node: Any) -> list[KeyLeafPair]:
    """(key, child) of the children of a node, in the order of flattening."""
    kind = type(node)
    with_keys = _registry.get(kind)
    if with_keys is not None:
        return list(with_keys(node)[0])
    children, _, entries, _ = optree.tree_flatten_one_level(node, namespace=NAMESPACE)
    key: Any = FlattenedIndexKey
    if isinstance(node, dict):
        key = DictKey
    elif kind in (tuple, list, deque):
        key = SequenceKey
    elif optree.is_namedtuple_class(kind):
        key, entries = GetAttrKey, node._fields
    return [(key(entry), child) for entry, child in zip(entries, children)]


def tree_leaves_with_path(
    tree: Any, is_leaf: IsLeaf = None, is_leaf_takes_path: bool = False
) -> list[tuple[KeyPath, Any]]:
    """The leaves of a pytree with their key paths.

    Args:
      tree: any pytree.
      is_leaf: where true, a node counts as a leaf.
      is_leaf_takes_path: whether it is called as `is_leaf(path, node)`.
    """
    return tree_flatten_with_path(tree, is_leaf, is_leaf_takes_path)[0]


def tree_flatten_with_path(
    tree: Any, is_leaf: IsLeaf = None, is_leaf_takes_path: bool = False
) -> tuple[list[tuple[KeyPath, Any]], PyTreeDef]:
    """As `tree_flatten`, with the key path of each leaf.

    >>> import ferax
    >>> pairs, _ = ferax.tree_util.tree_flatten_with_path({"a": [1, 2]})
    >>> [(ferax.tree_util.keystr(path), leaf) for path, leaf in pairs]
    [("['a'][0]", 1), ("['a'][1]", 2)]
    """
    pairs: list[tuple[KeyPath, Any]] = []
    ahead: list[KeyPath] = [()]  # paths of the nodes to come, the next one last

    def stop(node: Any) -> bool:
        path = ahead.pop()
        given = (path, node) if is_leaf_takes_path else (node,)
        if (is_leaf is not None and is_leaf(*given)) or _is_leaf(node):
            pairs.append((path, node))
            return True
        ahead.extend([(*path, key) for key, _ in reversed(_children(node))])
        return False

    return pairs, tree_structure(tree, stop)


def tree_map_with_path(
    f: Callable[..., Any],
    tree: Any,
    *rest: Any,
    is_leaf: IsLeaf = None,
    is_leaf_takes_path: bool = False,
) -> Any:
    """As `tree_map`, with the key path as first argument of `f`.

    >>> import ferax
    >>> ferax.tree.map_with_path(lambda p, x: ferax.tree_util.keystr(p), {"a": [1, 2]})
    {'a': ["['a'][0]", "['a'][1]"]}
    """
    pairs, treedef = tree_flatten_with_path(tree, is_leaf, is_leaf_takes_path)
    columns = [
        _flatten_up_to(treedef.spec, other, "tree_map_with_path:") for other in rest
    ]
    return treedef.unflatten(
        [f(path, x, *others) for (path, x), *others in zip(pairs, *columns)]
    )


# -- registration --------------------------------------------------------------------------


# The registered classes; how they are flattened with keys, where they say so.
_registry: dict[type, Flatten | None] = {}


def register_pytree_node(
    nodetype: type,
    flatten_func: Flatten,
    unflatten_func: Unflatten,
    flatten_with_keys_func: Flatten | None = None,
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
    _registry[nodetype] = flatten_with_keys_func


def register_pytree_with_keys(
    nodetype: type,
    flatten_with_keys: Flatten,
    unflatten_func: Unflatten,
    flatten_func: Flatten | None = None,
) -> None:
    """As `register_pytree_node`, with a key for each child.

    Args:
      nodetype: the class.
      flatten_with_keys: instance -> (pairs (key, child), auxiliary data); keys are
        `GetAttrKey`, `DictKey`, `SequenceKey`, `FlattenedIndexKey` or of your own.
      unflatten_func: (auxiliary data, children) -> instance.
      flatten_func: instance -> (children, auxiliary data), where that is faster.
    """

    def children_only(node: Any) -> tuple[Iterable[Any], Any]:
        pairs, aux = flatten_with_keys(node)
        return [child for _, child in pairs], aux

    register_pytree_node(
        nodetype, flatten_func or children_only, unflatten_func, flatten_with_keys
    )


def register_pytree_node_class(cls: type[T]) -> type[T]:
    """Class decorator: register a class that has `tree_flatten` and `tree_unflatten`.

    `tree_flatten(self) -> (children, aux)`, classmethod `tree_unflatten(cls, aux, children)`.
    """
    _class("register_pytree_node_class", cls, "tree_flatten", "tree_unflatten")
    register_pytree_node(cls, cls.tree_flatten, cls.tree_unflatten)  # type: ignore[attr-defined]
    return cls


def register_pytree_with_keys_class(cls: type[T]) -> type[T]:
    """Class decorator: as `register_pytree_node_class`, with `tree_flatten_with_keys`."""
    node: Any = cls
    who = "register_pytree_with_keys_class"
    _class(who, cls, "tree_flatten_with_keys", "tree_unflatten")
    flatten_func = getattr(cls, "tree_flatten", None)
    register_pytree_with_keys(
        cls, node.tree_flatten_with_keys, node.tree_unflatten, flatten_func
    )
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
    _class("register_dataclass", nodetype)
    data, meta = _dataclass_fields(nodetype, data_fields, meta_fields, drop_fields)
    keys = [GetAttrKey(name) for name in data]
    names = (*meta, *data)
    read_data, read_meta = _reader(data), _reader(meta)

    def flatten_func(node: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return read_data(node), read_meta(node)

    def with_keys(node: Any) -> tuple[list[KeyLeafPair], tuple[Any, ...]]:
        return list(zip(keys, read_data(node))), read_meta(node)

    def unflatten_func(aux: tuple[Any, ...], children: Iterable[Any]) -> Any:
        return nodetype(**dict(zip(names, (*aux, *children))))

    register_pytree_node(nodetype, flatten_func, unflatten_func, with_keys)
    return nodetype


def _class(who: str, cls: Any, *methods: str) -> None:
    if not isinstance(cls, type):
        raise TypeError(f"{who} needs a class; got {cls!r}")
    for name in methods:
        if not hasattr(cls, name):
            raise TypeError(f"{who}: {cls.__name__} has no method {name}")


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
    fields = {}  # name -> whether it is static
    if dataclasses.is_dataclass(nodetype):
        fields = {
            f.name: f.metadata.get("static", False)
            for f in dataclasses.fields(nodetype)
            if f.init and f.name not in drop_fields
        }
    elif data_fields is None:
        raise TypeError(
            f"{who} is not a dataclass; put @dataclass below @register_dataclass, or give "
            "data_fields and meta_fields"
        )
    if data_fields is None or meta_fields is None:
        data_fields = [name for name, static in fields.items() if not static]
        meta_fields = [name for name, static in fields.items() if static]
    given = {*data_fields, *meta_fields}
    if len(given) < len(data_fields) + len(meta_fields):
        raise ValueError(f"{who}: a field can be named only once, as data or as meta")
    if given != fields.keys() and dataclasses.is_dataclass(nodetype):
        raise ValueError(
            f"{who}: data_fields and meta_fields must cover its fields; missing: "
            f"{sorted(fields.keys() - given)}, unknown: {sorted(given - fields.keys())}"
        )
    return tuple(data_fields), tuple(meta_fields)


def is_tree_node(typ: type) -> bool:
    """Whether instances of the type are nodes."""
    return bool(
        typ in (tuple, list, dict, type(None), OrderedDict, defaultdict, deque)
        or typ in _registry
        or optree.is_namedtuple_class(typ)
    )


def flatten_one_level(tree: Any) -> tuple[Iterable[Any], Any]:
    """(children, auxiliary data) of the root. Raises ValueError for a leaf."""
    if _is_leaf(tree):
        raise ValueError(f"flatten_one_level: a {type(tree).__name__} is a leaf")
    children, data, _, _ = optree.tree_flatten_one_level(tree, namespace=NAMESPACE)
    return tuple(children), data


def flatten_one_level_with_keys(tree: Any) -> tuple[Iterable[KeyLeafPair], Any]:
    """As `flatten_one_level`, with pairs (key, child)."""
    return tuple(_children(tree)), flatten_one_level(tree)[1]


class PyTreeRegistry:
    """The registered node types, as an object for libraries that ask for one."""

    flatten = staticmethod(tree_flatten)
    register_node = staticmethod(register_pytree_node)

    @staticmethod
    def flatten_one_level(tree: Any) -> tuple[Iterable[Any], Hashable] | None:
        """None for leaves."""
        return None if _is_leaf(tree) else flatten_one_level(tree)


default_registry = PyTreeRegistry()


# -- functions as pytrees ------------------------------------------------------------------


class Partial(functools.partial):  # type: ignore[type-arg]
    """`functools.partial` as a pytree: arguments are children, the function is structure.

    So it can be passed into and out of transformed functions.

    >>> import ferax
    >>> ferax.tree.map(lambda x: x + 1, ferax.tree_util.Partial(max, 1))(0)
    2
    """


register_pytree_node(
    Partial,
    lambda p: ((p.args, p.keywords), p.func),
    lambda func, xs: Partial(func, *xs[0], **xs[1]),
)
