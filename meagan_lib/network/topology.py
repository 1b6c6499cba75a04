"""The network of connected electrodes as a graph: electrodes are nodes, significant connections are edges."""

from dataclasses import dataclass

import networkx as nx
import numpy as np
import pandas as pd
import scipy.sparse
from scipy.sparse.csgraph import connected_components, shortest_path

SWAPS = 10
"""Exchanges of edge ends for each edge: enough to forget the graph that a random one started from."""


def clustering(adjacency: scipy.sparse.csr_array) -> float:
    """Average over nodes the fraction of pairs of neighbours that are neighbours (Watts & Strogatz 1998).

    As ``networkx.average_clustering``, by matrix products: a chip has thousands of nodes.
    """
    degree = adjacency.sum(axis=1)
    triangles = (adjacency @ adjacency).multiply(adjacency).sum(axis=1)
    return float(np.mean(triangles / np.maximum(degree * (degree - 1), 1)))


def path_length(adjacency: scipy.sparse.csr_array) -> float:
    """Mean number of steps between two nodes of the largest connected part; NaN where it is a single node."""
    _, part = connected_components(adjacency, directed=False)
    largest = np.flatnonzero(part == np.bincount(part).argmax())
    n = len(largest)
    if n < 2:
        return np.nan
    steps = shortest_path(adjacency[largest][:, largest], directed=False, unweighted=True)
    return float(steps.sum() / (n * (n - 1)))


@dataclass(frozen=True)
class Topology:
    """Measures of a graph, beside those of random graphs."""

    degree: np.ndarray
    """int64 (nodes,): connections of each node."""
    hubs: np.ndarray
    """bool (nodes,): degree more than two standard deviations above the mean."""
    community: np.ndarray
    """int64 (nodes,): communities by size, from 0; −1 for a node without a connection."""
    measures: dict[str, tuple[float, np.ndarray]]
    """Name → value of the graph, and those (n,) of random graphs in which every node has the degree that it has.

    The modularity of communities is the fraction of edges within them beyond what degrees alone would give; the path
    length is NaN where there is no path.
    """

    @property
    def table(self) -> pd.DataFrame:
        """Tabulate the measures: ``value`` of the graph, mean of ``random`` ones (NaN where there is none)."""
        rows = {name: [value, r.mean() if len(r) else np.nan] for name, (value, r) in self.measures.items()}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "random"])

    @property
    def small_worldness(self) -> float:
        """Compute σ = (C / C_random) / (L / L_random): above 1 where neighbours are cliques and all is near all.

        Humphries & Gurney 2008, doi:10.1371/journal.pone.0002051. NaN without random graphs, clusters or paths.
        """
        (own, random), (own_length, random_length) = self.measures["clustering"], self.measures["path length (steps)"]
        if not len(random) or not random.mean() > 0:
            return np.nan
        return float(own / random.mean() / (own_length / random_length.mean()))

    @property
    def order(self) -> np.ndarray:
        """Order the nodes (nodes,) by community, those without one last, then by degree from the highest."""
        return np.lexsort((-self.degree, np.where(self.community < 0, len(self.degree), self.community)))


def random_graphs(g: nx.Graph, n: int, seed: int = 0) -> list[nx.Graph]:
    """Draw ``n`` random graphs with the degrees of ``g``: ends of random pairs of edges are exchanged repeatedly.

    Maslov & Sneppen 2002, doi:10.1126/science.1065103. Where most pairs are connected, it is done with those that are
    not: an exchange among them is one among the others. None where no exchange is possible, as in a complete graph.
    """
    drawn, dense = [], nx.density(g) > 0.5
    few = nx.complement(g) if dense else g
    for k in range(n):
        other, wanted = nx.Graph(few.edges), SWAPS * few.number_of_edges()
        other.add_nodes_from(g)
        try:
            nx.double_edge_swap(other, wanted, max_tries=20 * wanted, seed=np.random.default_rng([seed, k]))
        except nx.NetworkXException:  # fewer than four nodes or two edges, or as good as complete
            return []
        drawn.append(nx.complement(other) if dense else other)
    return drawn


def communities(g: nx.Graph, seed: int = 0) -> tuple[np.ndarray, float]:
    """Find the community int64 (nodes,) of each node, by size, −1 without a connection; and their modularity.

    Louvain's method (Blondel et al. 2008, doi:10.1088/1742-5468/2008/10/P10008) without weights.
    """
    found = np.full(g.number_of_nodes(), -1)
    if not g.number_of_edges():
        return found, 0.0
    parts = nx.community.louvain_communities(g, seed=np.random.default_rng(seed))
    shared = sorted((sorted(part) for part in parts if len(part) > 1), key=lambda part: (-len(part), part))
    for i, part in enumerate(shared):
        found[part] = i
    return found, float(nx.community.modularity(g, parts))


def measure_topology(adjacency: np.ndarray, n_random: int = 20, seed: int = 0) -> Topology:
    """Measure the graph of a symmetric ``adjacency`` (nodes, nodes) bool beside ``n_random`` random graphs."""
    n, g = len(adjacency), nx.from_numpy_array(adjacency, edge_attr=None)
    sparse = scipy.sparse.csr_array(adjacency.astype(float))
    others = random_graphs(g, n_random, seed)
    shuffled = [nx.to_scipy_sparse_array(other, nodelist=range(n), dtype=float, format="csr") for other in others]
    degree, (community, modularity) = adjacency.sum(axis=1), communities(g, seed)
    return Topology(
        degree=degree,
        hubs=degree > degree.mean() + 2 * degree.std() if n else np.zeros(0, bool),
        community=community,
        measures={
            "clustering": (clustering(sparse) if n else 0.0, np.array([clustering(m) for m in shuffled])),
            "path length (steps)": (path_length(sparse) if n else np.nan, np.array([path_length(m) for m in shuffled])),
            "modularity": (modularity, np.array([communities(other, seed)[1] for other in others])),
        },
    )
