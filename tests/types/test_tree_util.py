"""Pytrees: flattening, structures, maps, key paths, registration."""

from __future__ import annotations

import copy
import dataclasses
import gc
import operator
import pickle
from collections import OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ferax.tree
from ferax import tree_util as tu

Point = namedtuple("Point", "x y")

TREES = st.recursive(
    st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from("abc"), inner)
        | st.dictionaries(st.sampled_from("cba"), inner).map(OrderedDict)
        | st.tuples(inner, inner).map(lambda p: Point(*p))
    ),
    max_leaves=8,
)


class Pair:
    """A class registered by hand."""

    def __init__(self, x, y, tag="t"):
        self.x, self.y, self.tag = x, y, tag

    def __eq__(self, other):
        return (self.x, self.y, self.tag) == (other.x, other.y, other.tag)

    __hash__ = None


tu.register_pytree_node(
    Pair, lambda p: ((p.x, p.y), p.tag), lambda tag, xy: Pair(*xy, tag)
)


@tu.register_pytree_with_keys_class
class Keyed:
    """A class with keys of its own."""

    def __init__(self, a, b):
        self.a, self.b = a, b

    def tree_flatten_with_keys(self):
        return ((tu.GetAttrKey("a"), self.a), (tu.GetAttrKey("b"), self.b)), None

    @classmethod
    def tree_unflatten(cls, aux, children):
        return cls(*children)


@tu.register_dataclass
@dataclasses.dataclass
class Layer:
    """A dataclass with a static field."""

    weight: float
    bias: float
    name: str = ferax.tree.static(default="layer")


@given(TREES)
def test_flatten_and_unflatten_are_inverse(tree):
    """Rebuilding from leaves and structure gives the tree; structures are interned."""
    leaves, treedef = tu.tree_flatten(tree)
    assert treedef.unflatten(leaves) == tree
    assert treedef.num_leaves == len(leaves)
    assert tu.tree_structure(tree) is treedef
    assert pickle.loads(pickle.dumps(treedef)) is treedef
    assert copy.deepcopy(treedef) is treedef


@given(TREES)
def test_key_paths_lead_to_their_leaves(tree):
    """Following a path from the root ends at the leaf, in the order of flattening."""
    pairs, treedef = tu.tree_flatten_with_path(tree)
    assert [x for _, x in pairs] == tu.tree_leaves(tree)
    assert treedef is tu.tree_structure(tree)
    for path, leaf in pairs:
        node = tree
        for key in path:
            if isinstance(key, tu.GetAttrKey):
                node = getattr(node, key.name)
            else:
                node = node[key.key if isinstance(key, tu.DictKey) else key.idx]
        assert node is leaf


def test_order_of_leaves():
    """Dicts by sorted key, OrderedDict by insertion, None without leaves."""
    assert tu.tree_leaves({"b": 1, "a": 2}) == [2, 1]
    assert tu.tree_leaves(OrderedDict(b=1, a=2)) == [1, 2]
    assert tu.tree_leaves(defaultdict(list, b=1, a=2)) == [2, 1]
    assert tu.tree_leaves([None, 1, (None, 2)]) == [1, 2]
    assert tu.tree_leaves(Pair(1, Pair(2, 3))) == [1, 2, 3]
    assert tu.tree_leaves(None) == []
    assert tu.tree_leaves(None, is_leaf=lambda x: x is None) == [None]


def test_structures_print_as_in_jax():
    """Stars for leaves, Python's brackets, CustomNode for the rest."""
    tree = {"b": [1, (2, None)], "a": Point(3, {}), "c": (1,), "d": Pair(1, 2)}
    assert str(tu.tree_structure(tree)) == (
        "PyTreeDef({'a': CustomNode(namedtuple[Point], [*, {}]), 'b': [*, (*, None)], "
        "'c': (*,), 'd': CustomNode(Pair[t], [*, *])})"
    )
    assert str(tu.tree_structure(1)) == "PyTreeDef(*)"


def test_structure_methods():
    """Children, composition, node data, counting."""
    treedef = tu.tree_structure([1, {"a": 2}])
    assert treedef.num_nodes == 4
    assert treedef.children() == [tu.tree_structure(0), tu.tree_structure({"a": 0})]
    assert tu.treedef_children(treedef) == treedef.children()
    assert treedef.node_data() == (list, None)
    assert tu.tree_structure({"b": 1, "a": 1}).node_data() == (dict, ["a", "b"])
    assert tu.tree_structure(Pair(1, 2)).node_data() == (Pair, "t")
    assert tu.tree_structure(1).node_data() is None
    pair = tu.tree_structure((1, 2))
    assert tu.tree_structure([0, 0]).compose(pair) == tu.tree_structure(
        [(1, 2), (1, 2)]
    )
    assert tu.treedef_tuple([pair, treedef]) == tu.tree_structure(
        ((1, 2), [1, {"a": 2}])
    )
    assert tu.treedef_is_leaf(tu.tree_structure(1))
    assert not tu.treedef_is_leaf(tu.tree_structure(None))
    assert treedef.flatten_up_to([(1, 2), {"a": [3]}]) == [(1, 2), [3]]


def test_structures_differ_with_auxiliary_data():
    """Auxiliary data are part of the structure."""
    assert tu.tree_structure(Pair(1, 2, "a")) != tu.tree_structure(Pair(1, 2, "b"))
    assert tu.tree_structure(Layer(1, 2)) == tu.tree_structure(Layer(3, 4))
    assert tu.tree_structure(Layer(1, 2)) != tu.tree_structure(Layer(1, 2, "other"))


def test_auxiliary_data_that_cannot_be_compared():
    """Trees with arrays as auxiliary data flatten and map; comparing structures raises."""
    tree = Pair(1, 2, np.zeros(2))
    keep = tu.tree_structure(tree)
    assert tu.tree_map(lambda x: x + 1, tree).x == 2
    with pytest.raises(ValueError, match="truth value"):
        assert keep == tu.tree_structure(Pair(1, 2, np.zeros(2)))


def test_unused_structures_are_forgotten():
    """The table of structures holds none that nobody holds."""
    before = len(tu._defs)
    for i in range(100):
        tu.tree_structure(Pair(1, 2, f"tag {i}"))
    gc.collect()
    assert len(tu._defs) <= before + 1


def test_map_over_several_trees():
    """The further trees may go on where the first one has leaves."""
    assert tu.tree_map(operator.add, {"a": 1, "b": [2]}, {"a": 10, "b": [20]}) == {
        "a": 11,
        "b": [22],
    }
    assert tu.tree_map(lambda x, y: y, [1, 2], [{"x": 1}, None]) == [{"x": 1}, None]
    assert tu.tree_map(lambda x: x, None) is None
    double = tu.tree_map(lambda x: 2 * x, Layer(1.0, 2.0, "n"))
    assert double == Layer(2.0, 4.0, "n")


MISMATCHES = [
    ({"a": 1, "b": [1, 2]}, {"a": 1, "b": [1]},
     ("structures differ at key path ['b']: the first tree has a list of length 2, tree 2 one of "
     "length 1")),
    ({"a": 1, "b": 2}, {"a": 1, "c": 2},
     "structures differ at the root: keys only in the first tree: ['b']; only in tree 2: ['c']"),
    ([1, None], [3, 5],
     "structures differ at key path [1]: the first tree has a None, tree 2 has a leaf (int)"),
    ((1, 2), [1, 2],
     "structures differ at the root: the first tree has a tuple, tree 2 has a list"),
    ([Pair(1, 2)], [Pair(1, 2, "u")],
     ("structures differ at key path [0]: the Pair has the data 't' in the first tree, 'u' in "
     "tree 2")),
    ([Pair(1, (2,))], [Pair(1, 2)],
     ("structures differ at key path [0][<flat index 1>]: the first tree has a tuple, tree 2 has "
     "a leaf (int)")),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second", "message"), MISMATCHES)
def test_map_names_the_path_that_differs(first, second, message):
    """A mismatch is described at the first key path where it is seen."""
    with pytest.raises(ValueError) as caught:
        tu.tree_map(lambda x, y: x, first, second)
    assert str(caught.value) == f"tree_map: {message}"


def test_wrong_number_of_leaves():
    """Too few or too many leaves are an error."""
    treedef = tu.tree_structure([1, 2])
    for leaves in ([1], [1, 2, 3]):
        with pytest.raises(ValueError, match="leaves"):
            tu.tree_unflatten(treedef, leaves)


def test_keystr_has_jaxs_formats():
    """Full and simple forms of a path."""
    path = (
        tu.DictKey("a"),
        tu.SequenceKey(0),
        tu.GetAttrKey("x"),
        tu.FlattenedIndexKey(3),
    )
    assert tu.keystr(path) == "['a'][0].x[<flat index 3>]"
    assert tu.keystr(path, simple=True, separator="/") == "a/0/x/3"
    assert repr(path[0]) == "DictKey(key='a')"
    assert repr(path[1:]) == (
        "(SequenceKey(idx=0), GetAttrKey(name='x'), FlattenedIndexKey(key=3))"
    )


def test_key_paths_of_registered_classes():
    """Keys as registered, else the number of the child."""
    tree = {
        "k": Keyed(1, [2]),
        "p": Pair(3, 4),
        "l": Layer(5, 6),
        "f": tu.Partial(max, 7),
    }
    paths = [tu.keystr(p) for p, _ in tu.tree_leaves_with_path(tree)]
    assert paths == ["['f'][<flat index 0>][0]", "['k'].a", "['k'].b[0]", "['l'].weight",
                     "['l'].bias", "['p'][<flat index 0>]", "['p'][<flat index 1>]"]  # fmt: skip


def test_is_leaf_stops_the_walk():
    """The predicate sees nodes, and the path where it asks for it."""
    tree = [1, [2, 3], None]
    stop = lambda x: x is None or x == [2, 3]
    pairs, treedef = tu.tree_flatten_with_path(tree, is_leaf=stop)
    assert [x for _, x in pairs] == [1, [2, 3], None]
    assert treedef == tu.tree_structure([0, 0, 0])
    by_path = tu.tree_flatten_with_path(
        [[1, 1], [1, 1]],
        is_leaf=lambda path, x: len(path) == 1,
        is_leaf_takes_path=True,
    )
    assert [x for _, x in by_path[0]] == [[1, 1], [1, 1]]
    assert by_path[1] == tu.tree_structure([0, 0])
    assert tu.all_leaves([1, 2])
    assert not tu.all_leaves([1, [2]])


def test_map_with_path():
    """The function receives the path first."""
    found = tu.tree_map_with_path(
        lambda p, x, y: (tu.keystr(p), x, y), [1, [2]], [3, [(4, 5)]]
    )
    assert found == [("[0]", 1, 3), [("[1][0]", 2, (4, 5))]]


def test_folds():
    """Reductions from the left and by halves."""
    assert tu.tree_reduce(operator.add, [1, (2, 3)]) == 6
    assert tu.tree_reduce(operator.add, [], 5) == 5
    show = lambda a, b: f"({a}+{b})"
    assert tu.tree_reduce_associative(show, [1, 2, 3, 4, 5]) == "((1+2)+(3+(4+5)))"
    assert tu.tree_reduce_associative(show, [], identity=0) == 0
    with pytest.raises(TypeError, match="needs an identity"):
        tu.tree_reduce_associative(show, [])
    assert tu.tree_all([True, {"a": 1}])
    assert not tu.tree_all([True, {"a": 0}])


def test_transpose():
    """A list of dicts becomes a dict of lists; the wrong structure is a TypeError."""
    outer, inner = tu.tree_structure([0, 0]), tu.tree_structure({"a": 0, "b": 0})
    tree = [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    for given_inner in (inner, None):
        assert tu.tree_transpose(outer, given_inner, tree) == {"a": [1, 3], "b": [2, 4]}
    with pytest.raises(TypeError, match="tree_transpose: the tree has the structure"):
        tu.tree_transpose(outer, inner, [{"a": 1}, {"a": 2}])


def test_broadcast():
    """A prefix is spread over the full tree."""
    full = {"a": [0, 0], "b": {"c": 0}}
    assert tu.tree_broadcast({"a": 1, "b": 2}, full) == {"a": [1, 1], "b": {"c": 2}}
    with pytest.raises(
        ValueError, match=r"tree_broadcast: structures differ at key path \['b'\]"
    ):
        tu.tree_broadcast({"a": 1, "b": [2, 3]}, full)


def test_flatten_prefix_takes_none_as_a_value():
    """in_axes-like trees: one value per leaf of the full tree, None among them."""
    full = (1, [2, 3], {"a": (4, 5), "b": 6}, None)
    assert tu.flatten_prefix(0, full, "what") == [0] * 6
    assert tu.flatten_prefix(None, full, "what") == [None] * 6
    prefix = (0, None, {"a": 1, "b": None}, None)
    assert tu.flatten_prefix(prefix, full, "what") == [0, None, None, 1, 1, None]
    assert tu.flatten_prefix((0, [None, 2], 1, 0), full, "what") == [
        0,
        None,
        2,
        1,
        1,
        1,
    ]


def test_flatten_prefix_names_the_path():
    """A prefix that branches otherwise is refused at its key path."""
    with pytest.raises(ValueError) as caught:
        tu.flatten_prefix((0, (1,)), (1, [2, 3]), "vmap: in_axes")
    assert str(caught.value) == (
        "vmap: in_axes: not a prefix of the values it is for; structures differ at key path [1]: "
        "it has a tuple, the values it is for has a list. A value in it stands for a whole "
        "subtree, so it may end earlier, but must not branch otherwise"
    )


def test_one_level():
    """The root's children and data; a leaf has none."""
    assert tu.flatten_one_level({"b": 1, "a": [2]}) == (([2], 1), ["a", "b"])
    assert tu.flatten_one_level(Pair(1, [2])) == ((1, [2]), "t")
    assert tu.flatten_one_level(Point(1, 2)) == ((1, 2), Point)
    keys = tu.flatten_one_level_with_keys({"b": 1, "a": 2})[0]
    assert keys == ((tu.DictKey("a"), 2), (tu.DictKey("b"), 1))
    with pytest.raises(ValueError, match="a int is a leaf"):
        tu.flatten_one_level(3)
    assert tu.default_registry.flatten_one_level(3) is None
    assert tu.is_tree_node(Pair)
    assert tu.is_tree_node(Point)
    assert not tu.is_tree_node(int)


def test_partial_is_a_pytree():
    """Arguments are leaves, the function is structure."""
    partial = tu.Partial(
        operator.sub,
        10,
    )
    assert tu.tree_leaves(partial) == [10]
    assert tu.tree_map(lambda x: x + 1, partial)(1) == 10
    assert tu.tree_structure(partial) == tu.tree_structure(tu.Partial(operator.sub, 3))
    assert tu.tree_structure(partial) != tu.tree_structure(tu.Partial(operator.add, 3))


def test_register_dataclass_checks_its_fields():
    """Lists of fields must cover the dataclass, and come both or not at all."""

    @dataclasses.dataclass
    class Two:
        a: int
        b: int

    with pytest.raises(TypeError, match="give both data_fields and meta_fields"):
        tu.register_dataclass(Two, data_fields=["a"])
    with pytest.raises(ValueError, match=r"missing: \['b'\], unknown: \['c'\]"):
        tu.register_dataclass(Two, ["a"], ["c"])
    with pytest.raises(TypeError, match="is not a dataclass"):
        tu.register_dataclass(int)
    tu.register_dataclass(Two, ["a"], ["b"])
    assert tu.tree_leaves(Two(1, 2)) == [1]
    with pytest.raises(ValueError, match="already registered"):
        tu.register_dataclass(Two, ["a"], ["b"])


def test_register_static():
    """Static instances have no leaves and are compared by value."""

    @tu.register_static
    @dataclasses.dataclass(frozen=True)
    class Option:
        n: int

    assert tu.tree_leaves([Option(1), 2]) == [2]
    assert tu.tree_structure(Option(1)) == tu.tree_structure(Option(1))
    assert tu.tree_structure(Option(1)) != tu.tree_structure(Option(2))
    assert tu.tree_map(lambda x: x, Option(3)) == Option(3)


def test_register_by_class_methods():
    """A class that says itself how it is flattened."""

    @tu.register_pytree_node_class
    class Box:
        def __init__(self, x):
            self.x = x

        def tree_flatten(self):
            return (self.x,), None

        @classmethod
        def tree_unflatten(cls, aux, children):
            return cls(*children)

    assert tu.tree_map(lambda x: -x, Box(3)).x == -3


def test_dicts_are_rebuilt_with_sorted_keys():
    """The order of a rebuilt dict does not depend on the order of any dict seen before."""
    given = {"b": 1, "a": {"d": 2, "c": 3}}
    for again in (tu.tree_map(lambda x: x, given), ferax.jit(lambda x: x)(given)):
        assert list(again) == ["a", "b"]
        assert list(again["a"]) == ["c", "d"]
    counts = tu.tree_map(lambda x: x, defaultdict(int, z=1, y=2))
    assert list(counts) == ["y", "z"]
    assert counts.default_factory is int
    kept = tu.tree_map(lambda x: x, OrderedDict(z=1, y=2))
    assert list(kept) == ["z", "y"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tu.tree_unflatten(3, []), "tree_unflatten needs a structure.*got 3"),
        (lambda: tu.treedef_is_leaf(3), "treedef_is_leaf needs a structure"),
        (lambda: tu.treedef_children(3), "treedef_children needs a structure"),
        (lambda: tu.treedef_tuple([3]), "treedef_tuple needs a structure"),
        (lambda: tu.tree_transpose(3, None, [1]), "tree_transpose needs a structure"),
        (lambda: tu.tree_transpose(tu.tree_structure([1]), 3, [1]), "needs a structure"),
        (lambda: tu.register_dataclass(3), "register_dataclass needs a class; got 3"),
        (lambda: tu.register_pytree_node_class(3), "needs a class; got 3"),
        (lambda: tu.register_pytree_with_keys_class(3), "needs a class; got 3"),
        (lambda: tu.register_pytree_node_class(type("C", (), {})), "no method tree_flatten"),
    ],
)  # fmt: skip
def test_what_is_no_structure_and_no_class(call, message):
    """A TypeError says what is needed, instead of an attribute that is missing."""
    with pytest.raises(TypeError, match=message):
        call()


def test_fields_of_two_kinds():
    """A field is a child or part of the structure, not both."""

    @dataclasses.dataclass
    class Both:
        a: int

    with pytest.raises(ValueError, match="Both: a field can be named only once"):
        tu.register_dataclass(Both, data_fields=["a"], meta_fields=["a"])


def test_errors_of_nodes_while_they_are_rebuilt_come_through():
    """An AttributeError of a node's own code is not taken for a wrong structure."""

    class Broken:
        pass

    tu.register_pytree_node(Broken, lambda b: ((), None), lambda aux, xs: aux.missing)
    with pytest.raises(AttributeError, match="missing"):
        tu.tree_unflatten(tu.tree_structure(Broken()), [])
