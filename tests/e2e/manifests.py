"""The objects that the walkthrough applies."""

from __future__ import annotations

import json

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: echo
        image: kuberaft/echo:v1
        ports: [{name: http, containerPort: 8080}]
        resources: {requests: {cpu: 50m, memory: 32Mi}}
        readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 1}
        lifecycle: {preStop: {sleep: {seconds: 1}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 8080, targetPort: http}]
"""


def pod(name: str, *, cpu: str, memory: str, image: str = "kuberaft/pause") -> str:
    """One pod that asks for the given resources."""
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  containers:
  - name: main
    image: {image}
    resources: {{requests: {{cpu: "{cpu}", memory: {memory}}}}}
"""


def deployment(name: str, *, replicas: int) -> str:
    """A Deployment of the echo image with quick pods, as one document of a stream."""
    return f"""
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {{name: echo, image: "kuberaft/echo:v1", ports: [{{name: http, containerPort: 8080}}]}}
"""


def config_map(name: str, labels: str = "", **data: str) -> str:
    """A ConfigMap, as one document of a stream."""
    metadata = f"{{name: {name}, labels: {labels}}}" if labels else f"{{name: {name}}}"
    return f"""
---
apiVersion: v1
kind: ConfigMap
metadata: {metadata}
data: {json.dumps(data)}
"""


def host_pod(name: str, script: str, *, labels: str = "{}", restart: str = "Always", grace: int = 1) -> str:
    """A pod that runs a shell script on the host, as one document of a stream."""
    return f"""
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {labels}}}
spec:
  restartPolicy: {restart}
  terminationGracePeriodSeconds: {grace}
  containers:
  - {{name: main, image: host, command: [sh, -c, {json.dumps(script)}]}}
"""
