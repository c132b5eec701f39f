"""A model of a hundred thousand weights and two small datasets, for all tests of training."""

import json
from pathlib import Path

import pytest
from filelock import FileLock

from alpamayo_ros.datasets.plan import DatasetPlan
from alpamayo_ros.datasets.production import write_dataset
from alpamayo_ros.training.corpus import Corpus, find_shards
from alpamayo_ros.training.initial import initial_model
from alpamayo_ros.types.rig import DEFAULT_ROLES
from alpamayo_ros.vla.checkpoint import save_model

SHAPE = Path(__file__).parents[2] / "config/training/alpamayo_tiny.json"


def small_shape(**vision):
    """The shape of alpamayo-tiny, made smaller, for pictures of 64 x 32."""
    document = json.loads(SHAPE.read_text())
    vlm = document["vlm_config"]
    vlm["text_config"] |= {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "head_dim": 16,
        "rope_scaling": {"mrope_interleaved": True, "mrope_section": [4, 2, 2]},
    }  # fmt: skip
    vlm["vision_config"] |= {
        "depth": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "out_hidden_size": 32,
        "num_position_embeddings": 16, "stem_channels": [8, 8], **vision,
    }  # fmt: skip
    document["expert_cfg"] = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2, "head_dim": 16}
    document["action_in_proj_cfg"]["hidden_size"] = 32
    document["min_pixels"] = document["max_pixels"] = 64 * 32
    return document


@pytest.fixture(scope="session")
def shape(tmp_path_factory):
    path = tmp_path_factory.mktemp("shape") / "small.json"
    path.write_text(json.dumps(small_shape()))
    return path


@pytest.fixture
def model(shape):
    """A new one for every test: training changes it."""
    return initial_model(shape, seed=0)


@pytest.fixture(scope="session")
def begun(shape, tmp_path_factory):
    """The folder of the same model."""
    folder = tmp_path_factory.mktemp("models") / "begun"
    save_model(initial_model(shape, seed=0), folder)
    return folder


@pytest.fixture(scope="session")
def data(tmp_path_factory, worker_id):
    """The folder of a dataset of two shards, made once for all processes of a run."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder if worker_id == "master" else folder.parent) / "training-data"
    kinds = ("slow_lead", "left_turn")
    plan = DatasetPlan((3, 3), kinds, ("nominal",), DEFAULT_ROLES, (64, 32), every=20, dense=16, drives_per_shard=1)
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "dataset.json").exists():
            list(write_dataset(plan, folder))
    return folder


@pytest.fixture(scope="session")
def corpus(data):
    return Corpus(find_shards([data], unfinished=False), (0, 1, 2, 6))
