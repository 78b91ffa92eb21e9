"""A document of each kind with a shape of each kind, on a picture of 8x6 pixels, as tools write them."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from relmask.formats.brush import encode
from relmask.formats.runs import counts, to_text
from tests.formats.exports import CORNERS, INSIDE

POLYGON = np.ravel(CORNERS).tolist()


def png() -> str:
    buffer = io.BytesIO()
    Image.fromarray(INSIDE.astype(np.uint8) * 255).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def coco() -> dict[str, Any]:
    segmentations = [
        [POLYGON, POLYGON],
        POLYGON,
        {"size": [6, 8], "counts": counts(INSIDE.T, (8, 6)).tolist()},
        {"size": [6, 8], "counts": to_text(counts(INSIDE.T, (8, 6)))},
        [],
    ]
    usual = {"image_id": 3, "category_id": 0, "bbox": [2, 1, 5, 3], "iscrowd": 0, "area": 15, "score": 0.5}
    return {
        "images": [{"id": 3, "file_name": "a/b.png", "height": 6, "width": 8, "score": 0.5}],
        "categories": [{"id": 0, "name": "pit", "supercategory": ""}],
        "annotations": [
            {**usual, "id": k, "segmentation": one, "keypoints": [1, 2, 2]}
            for k, one in enumerate(segmentations)
        ],
    }


def labelme() -> dict[str, Any]:
    points = {
        "polygon": CORNERS,
        "rectangle": [[2, 1], [7, 4]],
        "circle": [[4, 3], [4, 1]],
        "mask": [[0, 0], [7, 5]],
        "line": [[0, 0], [7, 5]],
        "point": [[0, 0]],
    }
    shapes = [
        {"label": "pit", "points": corners, "shape_type": kind, "mask": png(), "group_id": None, "score": 0.5}
        for kind, corners in points.items()
    ]
    told = {"imagePath": "b.png", "imageData": None, "imageHeight": 6, "imageWidth": 8, "score": 0.5}
    return {"version": "5.5.0", "flags": {}, "shapes": shapes, **told}


def label_studio() -> list[dict[str, Any]]:
    percent = [[x * 100 / 8, y * 100 / 6] for x, y in CORNERS]
    regions: dict[str, dict[str, object]] = {
        "brushlabels": {"format": "rle", "rle": encode(INSIDE, (6, 8))},
        "bitmasklabels": {"imageDataURL": f"data:image/png;base64,{png()}"},
        "polygonlabels": {"points": percent, "closed": True},
        "rectanglelabels": {"x": 25, "y": 10, "width": 50, "height": 50, "rotation": 5},
        "ellipselabels": {"x": 50, "y": 50, "radiusX": 30, "radiusY": 40, "rotation": 5},
        "keypointlabels": {"x": 50, "y": 50, "width": 0.5},
    }
    results = [
        {
            "id": kind,
            "type": kind,
            "from_name": "label",
            "to_name": "image",
            "original_width": 8,
            "original_height": 6,
            "image_rotation": 0,
            "value": {**value, kind: ["pit"]},
            "score": 0.5,
        }
        for kind, value in regions.items()
    ]
    results += [{"type": "relation", "from_id": "a", "to_id": "b"}]
    answer = {"result": results, "was_cancelled": False, "ground_truth": False, "updated_at": "2026-01-01"}
    data = {"image": "/data/upload/1/0a1b2c3d-b.png", "serial": "A-17"}
    return [
        {"id": 1, "data": data, "annotations": [answer, answer], "predictions": [7]},
        {"id": 2, "data": {"image": "s3://parts/c.png"}, "predictions": [answer]},
    ]


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><labels><label><name>pit</name><type>any</type></label></labels></task></meta>
<image id="0" name="a/b.png" width="8" height="6">
<mask label="pit" rle="0, 15" left="2" top="1" width="5" height="3" z_order="0"/>
<polygon label="pit" points="2.00,1.00;7.00,1.00;7.00,4.00;2.00,4.00" z_order="1"/>
<box label="pit" xtl="2.00" ytl="1.00" xbr="7.00" ybr="4.00" rotation="5.00" z_order="2">
<attribute name="score">50</attribute></box>
<ellipse label="pit" cx="4" cy="3" rx="3" ry="2" rotation="5.00"/>
<points label="pit" points="0,0"/><skeleton label="pit"><points label="1" points="0,0"/></skeleton>
<tag label="pit"/></image></annotations>
"""

_CORNERS = "0.25 0.1 0.8 0.1 0.8 0.6 0.25 0.6"
YOLO: Mapping[str, str] = {
    "data.yaml": "path: .\nnames:\n  0: pit\n  1: dent\n",
    "labels/b.txt": f"0 {_CORNERS}\n1 {_CORNERS} 0.5\n0 0.5 0.5 0.1 0.1\n",
}
