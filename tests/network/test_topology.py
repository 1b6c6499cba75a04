"""Measures of a graph are networkx's, and planted worlds, communities and hubs are found."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.metrics import adjusted_rand_score

from meagan_lib.network.topology import clustering, communities, measure_topology, path_length, random_graphs


def matrix(g: nx.Graph) -> np.ndarray:
    return nx.to_numpy_array(g, nodelist=range(g.number_of_nodes())) > 0


@given(st.integers(1, 25), st.floats(0, 0.5), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_clustering_and_path_length_are_networkxs(n, p, seed):
    g = nx.gnp_random_graph(n, p, seed=seed)
    sparse = csr_array(matrix(g).astype(float))
    assert clustering(sparse) == pytest.approx(nx.average_clustering(g))
    parts = sorted(nx.connected_components(g), key=len)
    wanted = {nx.average_shortest_path_length(g.subgraph(part)) for part in parts if len(part) == len(parts[-1])}
    if len(parts[-1]) > 1:
        assert any(path_length(sparse) == pytest.approx(w) for w in wanted)
    else:
        assert np.isnan(path_length(sparse))


@given(st.integers(0, 99))
@settings(max_examples=5, deadline=None)
def test_measures_do_not_depend_on_the_order_of_the_electrodes(seed):
    adjacency = matrix(nx.watts_strogatz_graph(20, 4, 0.3, seed=seed))
    order = np.random.default_rng(seed).permutation(20)
    one, two = (measure_topology(a, n_random=1) for a in (adjacency, adjacency[np.ix_(order, order)]))
    np.testing.assert_array_equal(one.degree[order], two.degree)
    np.testing.assert_array_equal(one.hubs[order], two.hubs)
    for measure in ("clustering", "path length (steps)"):
        assert one.measures[measure][0] == pytest.approx(two.measures[measure][0])


def test_random_graphs_keep_the_degrees_and_nothing_else():
    g = nx.watts_strogatz_graph(40, 6, 0.05, seed=0)
    made = random_graphs(g, 3)
    assert all(dict(other.degree) == dict(g.degree) for other in made)
    shared = [len(set(map(frozenset, other.edges)) & set(map(frozenset, g.edges))) / g.size() for other in made]
    assert max(shared) < 0.35 and len({frozenset(other.edges) for other in made}) == 3


@pytest.mark.parametrize("density", [0.85, 0.97])
def test_random_graphs_are_found_for_dense_graphs_too(density):
    g = nx.gnp_random_graph(42, density, seed=0)
    made = random_graphs(g, 3)
    assert len({frozenset(other.edges) for other in made}) == 3
    assert all(dict(other.degree) == dict(g.degree) for other in made)
    lost = [len(set(map(frozenset, g.edges)) - set(map(frozenset, other.edges))) for other in made]
    assert min(lost) > 0.5 * nx.complement(g).size()


def test_a_planted_small_world_is_one_and_a_random_graph_is_none():
    small = measure_topology(matrix(nx.watts_strogatz_graph(60, 6, 0.1, seed=1)), 5)
    random = measure_topology(matrix(nx.gnp_random_graph(60, 0.12, seed=1)), 5)
    length, random_length = small.measures["path length (steps)"]
    assert small.small_worldness > 2 and length < 1.4 * random_length.mean()
    assert 0.7 < random.small_worldness < 1.3


def test_planted_communities_are_found_and_are_more_than_chance():
    planted = np.repeat([0, 1, 2], [20, 16, 12])
    rng = np.random.default_rng(0)
    draw = rng.random((48, 48)) < np.where(planted[:, None] == planted, 0.5, 0.03)
    adjacency = np.triu(draw, 1) | np.triu(draw, 1).T
    order = rng.permutation(48)
    found = measure_topology(adjacency[np.ix_(order, order)], 5)
    assert adjusted_rand_score(planted[order], found.community) > 0.95
    modularity, by_chance = found.measures["modularity"]
    assert modularity > by_chance.max() + 0.1
    assert (np.diff(found.community[found.order]) >= 0).all()
    assert found.table.loc["modularity"].tolist() == [modularity, by_chance.mean()]
    assert np.bincount(found.community).tolist() == sorted(np.bincount(found.community), reverse=True)
    g = nx.from_numpy_array(adjacency)
    assert communities(g, 3)[1] == communities(g, 3)[1]


def test_the_middle_of_a_star_is_a_hub():
    found = measure_topology(matrix(nx.star_graph(12)))
    assert found.hubs.tolist() == [True] + [False] * 12
    assert found.measures["path length (steps)"][0] == pytest.approx(24 / 13)


@pytest.mark.parametrize(
    "g", [nx.empty_graph(0), nx.empty_graph(1), nx.empty_graph(5), nx.path_graph(2), nx.complete_graph(6)]
)
@pytest.mark.filterwarnings("error")
def test_graphs_without_an_alternative_have_no_small_worldness(g):
    found = measure_topology(matrix(g) if len(g) else np.zeros((0, 0), bool), 3)
    assert np.isnan(found.small_worldness) and len(found.degree) == len(g) == len(found.community)
    assert (found.community == -1).sum() == (len(g) if not g.size() else 0) and not found.hubs.any()
