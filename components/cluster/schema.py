"""`python -m components.cluster.schema` writes `cluster_configs/schema.json` anew from the structs."""

from __future__ import annotations

from components.cluster import topology_file

if __name__ == "__main__":
    (topology_file.CONFIG_DIR / "schema.json").write_bytes(topology_file.json_schema())
