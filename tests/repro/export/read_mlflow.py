"""What the real MLflow reads of a tracking directory, as JSON: read_mlflow.py DIR"""

import json
import os
import sys

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
from mlflow.tracking import MlflowClient  # noqa: E402

client = MlflowClient(tracking_uri="file:" + sys.argv[1])
answer = []
for experiment in client.search_experiments():
    for run in client.search_runs([experiment.experiment_id]):
        metrics = {name: [[m.step, m.value] for m in client.get_metric_history(run.info.run_id, name)]
                   for name in run.data.metrics}
        answer.append({
            "experiment": experiment.name, "name": run.info.run_name, "status": run.info.status,
            "start": run.info.start_time, "parameters": run.data.params, "tags": run.data.tags,
            "metrics": metrics,
            "artifacts": sorted(a.path for a in client.list_artifacts(run.info.run_id))})
print(json.dumps(answer, sort_keys=True))
