"""What the real TensorBoard reads of a folder, as JSON: read_events.py FOLDER"""

import base64
import json
import sys

from tensorboard.backend.event_processing import event_accumulator
from tensorboard.plugins.hparams import plugin_data_pb2

accumulator = event_accumulator.EventAccumulator(
    sys.argv[1], size_guidance={event_accumulator.SCALARS: 0, event_accumulator.IMAGES: 0})
accumulator.Reload()
tags = accumulator.Tags()
answer = {"scalars": {}, "images": {}, "settings": {}, "metrics": [], "sessions": 0, "ended": []}
for tag in tags["scalars"]:
    answer["scalars"][tag] = [[event.step, event.value] for event in accumulator.Scalars(tag)]
for tag in tags["images"]:
    answer["images"][tag] = [
        [event.step, event.width, event.height,
         base64.b64encode(event.encoded_image_string).decode()] for event in accumulator.Images(tag)]
try:
    settings = accumulator.PluginTagToContent("hparams")
except KeyError:
    settings = {}
for tag, content in settings.items():
    data = plugin_data_pb2.HParamsPluginData.FromString(content)
    kind = data.WhichOneof("data")
    if kind == "experiment":
        answer["metrics"] = [info.name.tag for info in data.experiment.metric_infos]
    elif kind == "session_start_info":
        answer["sessions"] += 1
        for name, value in data.session_start_info.hparams.items():
            answer["settings"][name] = getattr(value, value.WhichOneof("kind"))
    elif kind == "session_end_info":
        answer["ended"].append(data.session_end_info.status)
answer["settings"] = dict(sorted(answer["settings"].items()))
print(json.dumps(answer))
