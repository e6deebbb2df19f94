// Kubernetes objects: where their API is, and a copy of one kind that follows the API's own watch.
import { params, request, stream } from "./api.js";

const WATCH_IDLE = 90000; // bookmarks come every minute

const row = (resource, group, version, kind, namespaced = true) => ({ resource, group, version, kind, namespaced });

export const KINDS = [
  row("pods", "", "v1", "Pod"),
  row("deployments", "apps", "v1", "Deployment"),
  row("replicasets", "apps", "v1", "ReplicaSet"),
  row("statefulsets", "apps", "v1", "StatefulSet"),
  row("daemonsets", "apps", "v1", "DaemonSet"),
  row("jobs", "batch", "v1", "Job"),
  row("cronjobs", "batch", "v1", "CronJob"),
  row("services", "", "v1", "Service"),
  row("endpointslices", "discovery.k8s.io", "v1", "EndpointSlice"),
  row("configmaps", "", "v1", "ConfigMap"),
  row("serviceaccounts", "", "v1", "ServiceAccount"),
  row("persistentvolumeclaims", "", "v1", "PersistentVolumeClaim"),
  row("leases", "coordination.k8s.io", "v1", "Lease"),
  row("nodes", "", "v1", "Node", false),
  row("namespaces", "", "v1", "Namespace", false),
];

const DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const NOT_LISTED = new Set(["events", "secrets"]); // events have a page of their own

// The kinds that are served beside those above, custom ones among them, in the order of their names.
export async function discover(signal) {
  const { items } = await request("/apis", { signal, headers: { Accept: DISCOVERY } });
  const found = items.flatMap((group) => group.versions.slice(0, 1).flatMap((version) => version.resources
    .filter((one) => one.verbs.includes("watch") && !NOT_LISTED.has(one.resource) && !kindOf(one.resource, group.metadata.name, true))
    .map((one) => row(one.resource, group.metadata.name, version.version, one.responseKind.kind, one.scope === "Namespaced"))));
  KINDS.push(...found.sort((one, other) => (one.kind < other.kind ? -1 : 1)));
}

export const EVENTS = row("events", "", "v1", "Event");

export const kindOf = (resource, group, exact = false) =>
  KINDS.find((kind) => kind.resource === resource && (group === undefined || kind.group === group)) || (exact ? undefined : KINDS.find((kind) => kind.resource === resource));

export const byKind = (name) => KINDS.find((kind) => kind.kind === name);

export function collectionPath(kind) {
  return kind.group ? `/apis/${kind.group}/${kind.version}/${kind.resource}` : `/api/${kind.version}/${kind.resource}`;
}

export const listPath = (kind, query = {}) => collectionPath(kind) + params({ pretty: "false", ...query });

// What names an object in the endpoints of insight.
export const naming = (kind, namespace, name) => ({ resource: kind.resource, group: kind.group, namespace, name });

export const label = (namespace, name) => (namespace ? `${namespace}/${name}` : name);

// Calls `onEvent(type, object)` for what there is and for every change; "RESET" when it starts over.
export function watch(kind, { signal, onEvent, onState }) {
  let seen = "";
  let connections = 0;
  const path = () => {
    connections += 1;
    if (!seen && connections > 1) onEvent("RESET", null);
    const from = seen
      ? { resourceVersion: seen }
      : { sendInitialEvents: "true", resourceVersionMatch: "NotOlderThan" };
    return listPath(kind, { watch: "true", allowWatchBookmarks: "true", ...from });
  };
  return stream(path, {
    signal,
    onState,
    idle: WATCH_IDLE,
    onItem: ({ type, object }) => {
      if (type === "ERROR") {
        seen = ""; // its history is gone: the next connection starts over
        return;
      }
      if (type === "BOOKMARK") {
        // Initial events come in the order of names: only their end says up to where they go.
        seen = object.metadata.resourceVersion;
        return;
      }
      if (seen) seen = object.metadata.resourceVersion;
      onEvent(type, object);
    },
  });
}

// As kubectl's STATUS column.
export function podState(pod) {
  if (pod.metadata.deletionTimestamp) return "Terminating";
  for (const status of pod.status?.containerStatuses || []) {
    const reason = status.state?.waiting?.reason || status.state?.terminated?.reason;
    if (reason && reason !== "ContainerCreating") return reason;
  }
  const scheduled = (pod.status?.conditions || []).find((condition) => condition.type === "PodScheduled");
  if (scheduled?.reason === "Unschedulable") return "Unschedulable";
  return pod.status?.reason || pod.status?.phase || "Pending";
}

export function podTone(state, ready) {
  if (state === "Running") return ready ? "good" : "busy";
  if (state === "Succeeded" || state === "Completed" || state === "Terminating") return "past";
  if (state === "Pending" || state === "ContainerCreating") return "busy";
  return "bad";
}
