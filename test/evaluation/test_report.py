import base64
import re
from pathlib import Path

import cv2
import numpy as np

from alpamayo_ros.evaluation.closed_loop import run_scene
from alpamayo_ros.evaluation.drivers import make_driver
from alpamayo_ros.evaluation.report.clips import BEFORE_END
from alpamayo_ros.evaluation.report.page import write_report
from alpamayo_ros.evaluation.report.plots import error_over_time
from alpamayo_ros.evaluation.scene import Scene
from alpamayo_ros.evaluation.summary import summarise
from alpamayo_ros.simulation.world import Variant


def test_the_page_needs_nothing_beside_it_and_shows_failures(tmp_path: Path) -> None:
    driver = make_driver("idm-blind", num_samples=1)
    outcomes = [run_scene(Scene(kind, 0, Variant.NOMINAL), driver) for kind in ("debris", "off_ramp")]
    document = summarise("<idm>", "0", outcomes)
    pages = [tmp_path / "one.html", tmp_path / "two.html"]
    for page in pages:
        write_report(document, outcomes, "closed loop", page)
    text = pages[0].read_text()
    assert text == pages[1].read_text()
    assert "<h1>&lt;idm&gt;, closed loop</h1>" in text
    assert text.count("<svg") == 3
    # Nothing is fetched: whatever is referred to is within the file.
    assert not re.search(r'(?:src|href)="(?!data:|#)', text.replace("xlink:href", "href"))
    clips = re.findall(r'data:image/jpeg;base64,([^"]+)"', text)
    assert len(clips) == 1
    strip = cv2.imdecode(np.frombuffer(base64.b64decode(clips[0]), np.uint8), cv2.IMREAD_COLOR)
    assert strip is not None
    assert strip.shape == (192, 320 * len(BEFORE_END) + 192, 3)
    assert "front collision with debris-0" in text


def test_error_over_time_is_drawn_for_what_there_is() -> None:
    figure = {"value": 1.0, "low": 0.5, "high": 1.5}
    names = [f"min_ade_1_at_{horizon}s" for horizon in (0.5, 1.0, 2.5, 5.0, 6.4)]
    drawn = error_over_time({"metrics": dict.fromkeys(names, figure)})
    assert drawn is not None
    assert "minADE 1" in drawn
    assert "minADE 6" not in drawn
    assert error_over_time({"metrics": {"comfort": figure}}) is None
