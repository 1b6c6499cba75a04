"""Figures: arrays in, a matplotlib ``Figure`` out; one function for each, one module for each wing."""

from meagan_lib.plots.annotated import architectures, footprints, kinds_of_spikes, sorters, told_apart
from meagan_lib.plots.architecture import architecture, butterfly
from meagan_lib.plots.detector import agreement, recall_by_depth, recall_curves
from meagan_lib.plots.evaluation import (
    among_real,
    density_coverage,
    distance_to_train,
    embedding,
    feature_marginals,
    footprints_in_place,
    memorisation,
    moment_matching,
    pca,
    planted_failures,
    scores,
    spectra,
)
from meagan_lib.plots.experiments import ablation, augmentation, cost_quality, seed_by_seed, transfer
from meagan_lib.plots.exports import known_units
from meagan_lib.plots.fine_tuning import transfer_saving
from meagan_lib.plots.images import (
    crops_with_masks,
    found,
    gain_by_annotation,
    image_architectures,
    painted_crop,
    photographs,
    precision_recall,
)
from meagan_lib.plots.looking import at_a_glance
from meagan_lib.plots.models import (
    attention,
    interpolation,
    latent_space,
    latent_usage,
    positional_encoding,
    reconstructions,
    samples,
    snapshots,
    snapshots_animation,
    traversals,
)
from meagan_lib.plots.network import (
    channel_groups,
    connectivity_matrix,
    log_intervals,
    memberships,
    network_graph,
    raster,
    synthetic_groups,
    treatment,
    treatment_distances,
)
from meagan_lib.plots.recordings import (
    activity_animation,
    activity_frame,
    chip_map,
    mea_plate,
    quality_map,
    trace_detections,
)
from meagan_lib.plots.study import effects, false_positives, generators, measures_by_day
from meagan_lib.plots.style import COLOURS, LABELS, SERIES, SOURCES, UNITS, WIDTH, animation, gif
from meagan_lib.plots.training import elbo, training_curves
from meagan_lib.plots.windows import contamination, intervals_isolation, mean_sd, window_density, windows_by_channel
